import { beforeAll, describe, expect, it } from 'vitest'
import { canonicalState } from './canonical.ts'
import { type FaultKind, failing, noFaults } from './faulty-bindings.ts'
import { contradictions } from './invariants.ts'
import { OPERATIONS } from './operations.ts'
import { SEED } from './seed.ts'
import { tell } from './story.ts'
import { System } from './system.ts'

const KINDS: FaultKind[] = ['before', 'after']
const MOST_CALLS = 200

/** Every call of an operation failed once, before and after its effect: what was reached, and what ended otherwise. */
async function sweep(system: System, name: string) {
  const operation = OPERATIONS[name]!
  const undisturbed = await tell(system, operation, noFaults)
  const expected = await canonicalState(undisturbed.tenant.organization, undisturbed.tenant.names)
  expect(await contradictions(undisturbed.tenant.organization)).toEqual([])
  const calls: string[] = []
  const departures: string[] = []
  const stride = operation.stride ?? 1
  for (const kind of KINDS) {
    for (let k = 1 + (SEED % stride); k < MOST_CALLS; k += stride) {
      const fault = failing(k, kind)
      const story = await tell(system, operation, fault.plan).catch((error: unknown) => error as Error)
      const call = fault.reached()
      if (call === null) break
      calls.push(`${kind} ${call}`)
      const where = `${name}, call ${k} (${call}) failed ${kind} its effect`
      if (story instanceof Error) {
        departures.push(`${where}: ${story.message}`)
        continue
      }
      const { organization, names } = story.tenant
      const found = await canonicalState(organization, names)
      const only = (a: string[], b: string[]) => a.filter((line) => !b.includes(line))
      departures.push(
        ...only(expected, found).map((line) => `${where}: missing ${line}`),
        ...only(found, expected).map((line) => `${where}: more ${line}`),
        ...(await contradictions(organization)).map((sentence) => `${where}: ${sentence}`),
      )
    }
  }
  return { calls, departures }
}

describe(`a call of the storage that fails (HG_FAULT_SEED=${SEED})`, () => {
  let system: System

  beforeAll(() => {
    system = new System(Date.now())
  })

  it.for(Object.keys(OPERATIONS))(
    'changes nothing about how it ends: %s',
    { timeout: 300_000 },
    async (name) => {
      const { calls, departures } = await sweep(system, name)
      console.log(`${name}: ${calls.length} cases`)
      expect(departures).toEqual([])
      expect(calls.length).toBeGreaterThan(0)
    },
  )
})
