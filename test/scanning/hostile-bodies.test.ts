import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { sha256HexOfBytes } from '../../src/crypto/tokens.ts'
import type { Env } from '../../src/env.ts'
import { completeJob } from '../../src/scanning/sensors/complete.ts'
import type { Job } from '../../src/scanning/sensors/protocol.ts'
import { putBlob } from '../../src/scanning/sensors/put-blob.ts'
import { receiveUpload } from '../../src/scanning/sensors/receive-upload.ts'
import { rowsOf } from '../tables.ts'
import {
  aRunner,
  aScan,
  aWorld,
  baseAt,
  emptyPools,
  MINUTE,
  type Runner,
  refusal,
  resultFor,
  settle,
  T0,
  type World,
} from './world.ts'

const MEGABYTE = 1024 * 1024

let world: World
let runner: Runner
let job: Job

beforeEach(async () => {
  await emptyPools()
  world = await aWorld()
  runner = await aRunner()
  await aScan(world)
  job = (await runner.poll())!
})

/** A body of unknown length that breaks off at its end where `breaks`. */
const streamed = (bytes: Uint8Array<ArrayBuffer>, breaks = false): ReadableStream => {
  let at = 0
  return new ReadableStream({
    pull(controller) {
      if (at < bytes.length) controller.enqueue(bytes.slice(at, at + MEGABYTE))
      else if (breaks) controller.error(new Error('the connection broke'))
      else controller.close()
      at += MEGABYTE
    },
  })
}

const objects = async () => {
  const { objects: found } = await (env as unknown as Env).ARTIFACTS.list({
    prefix: `orgs/${world.organization.num}/`,
  })
  return found.map(({ key }) => key)
}

describe('A blob', () => {
  const bytes = new Uint8Array(new TextEncoder().encode('{"bomFormat":"CycloneDX"}'))
  const put = async (body: ReadableStream, size: number, sha256?: string) =>
    refusal(
      putBlob(baseAt(T0 + MINUTE), runner.identity, {
        wireId: job.id,
        fence: job.lease.fence,
        sha256: sha256 ?? (await sha256HexOfBytes(bytes)),
        size,
        mediaType: 'application/json\r\nX: y',
        body,
      }),
    )

  it.each([
    ['longer than announced', () => streamed(bytes), bytes.length - 5],
    ['shorter than announced', () => streamed(bytes), bytes.length + 5],
    ['broken off', () => streamed(bytes, true), bytes.length + 5],
    ['announced as nothing', () => streamed(bytes), 0],
  ] as const)('that is %s is refused and stored nowhere', async (_, body, size) => {
    expect(await put(body(), size)).toBe('digest_mismatch')
    expect(await objects()).toEqual([])
  })

  it("under another's digest is refused, and what is there stays", async () => {
    expect(await put(streamed(bytes), bytes.length)).toBeNull()
    expect(await put(streamed(bytes), bytes.length, 'f'.repeat(64))).toBe('digest_mismatch')
    expect(await objects()).toHaveLength(1)
  })
})

describe('An upload', () => {
  const send = async (body: ReadableStream, length: string) => {
    const request = new Request('https://api.test/api/scans/upload', {
      method: 'POST',
      body,
      headers: { 'Content-Length': length },
    })
    const code = await refusal(
      receiveUpload(request).then((upload) => completeJob(baseAt(T0 + MINUTE), runner.identity, upload)),
    )
    await settle()
    return code
  }
  /** An envelope larger than what is read of it at once. */
  const large = () =>
    new Uint8Array(
      new TextEncoder().encode(JSON.stringify({ ...resultFor(job), pad: 'x'.repeat(6 * MEGABYTE) })),
    )

  it.each([
    ['longer than announced', (size: number) => size - 7],
    ['shorter than announced', (size: number) => size + 7],
  ])('that is %s is refused and changes nothing', async (_, announced) => {
    const before = await rowsOf(world.organization)
    const body = large()
    expect(await send(streamed(body), String(announced(body.length)))).toBe('BAD_REQUEST')
    expect([await rowsOf(world.organization), await objects()]).toEqual([before, []])
  })

  it.each([
    ['less than nothing', -1],
    ['nothing', 0],
    ['no number', Number.NaN],
  ])('that is announced as %s is stored whole: a sensor never sends it again', async (_, announced) => {
    const body = large()
    expect(await send(streamed(body), String(announced))).toBeNull()
    expect(await objects()).toHaveLength(1)
  })

  it('that breaks off is refused and changes nothing', async () => {
    const before = await rowsOf(world.organization)
    const body = large()
    expect(await send(streamed(body.slice(0, -9), true), String(body.length))).toBe('BAD_REQUEST')
    expect(await send(streamed(body.slice(0, 1000), true), String(body.length))).toBe('BAD_REQUEST')
    expect([await rowsOf(world.organization), await objects()]).toEqual([before, []])
  })

  it('of a compressed body is not unpacked', async () => {
    const packed = new Blob([large()]).stream().pipeThrough(new CompressionStream('gzip'))
    expect(await send(packed, '1000')).toBe('VALIDATION_ERROR')
    expect(await objects()).toEqual([])
  })
})
