import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { notRun } from '../e2e/not-run.ts'
import { type Call, caller, note, type Seen } from './calls.ts'
import { type Furnished, furnish } from './furnish.ts'
import { installSchemathesis } from './install.ts'
import { operationsOf } from './operations.ts'
import { reachEverything, UNREACHABLE } from './reach.ts'
import { runSchemathesis } from './run.ts'
import { type ServedWorker, serveWorker } from './serve-worker.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const document = fileURLToPath(new URL('../../openapi/harborguard-v1.json', import.meta.url))
const SEED = Number(process.env.HG_FUZZ_SEED || 20_261_128)
const EXAMPLES = Number(process.env.HG_SCHEMATHESIS_EXAMPLES || 5) // of each operation and phase

const operations = operationsOf(document)
const seen: Seen = new Map()
let worker: ServedWorker
let call: Call
let world: Furnished

beforeAll(async () => {
  worker = await serveWorker(root)
  call = caller(worker.origin, operations, seen)
  world = await furnish(call, worker.operatorToken)
})

afterAll(() => worker?.close())

it('schemathesis finds no server error and no reply that is not as the OpenAPI document says', async () => {
  const installed = await installSchemathesis()
  if ('missing' in installed)
    return notRun(`The OpenAPI document against schemathesis: ${installed.missing}.`)
  console.log(`schemathesis: seed ${SEED}, ${EXAMPLES} examples of each operation`)
  const options = { program: installed.program, document, origin: worker.origin, world }
  const { code, output } = await runSchemathesis({ ...options, seed: SEED, examples: EXAMPLES }, seen)
  console.log(output.slice(output.lastIndexOf('SUMMARY')))
  expect(code, output).toBe(0)
})

it('a client meets every documented status of every operation, but for those that say why not', async () => {
  await reachEverything(call, worker.origin, operations, world, (id, status) => note(seen, id, status))
  const unseen = operations.flatMap(({ id, statuses }) =>
    statuses.filter((status) => !seen.get(id)?.has(status)).map((status) => `${id} ${status}`),
  )
  expect(unseen.sort()).toEqual(Object.keys(UNREACHABLE).sort())
  for (const { test } of Object.values(UNREACHABLE)) expect(existsSync(join(root, test)), test).toBe(true)
})

it('no operation answers a status that its document does not name, but 405 for a method it does not have', () => {
  const strange = operations.flatMap(({ id, statuses }) =>
    [...(seen.get(id) ?? [])]
      .filter((status) => status !== 405 && !statuses.includes(status))
      .map((status) => `${id} ${status}`),
  )
  expect(strange).toEqual([])
})
