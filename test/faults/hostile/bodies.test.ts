import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { sha256HexOfBytes } from '../../../src/crypto/tokens.ts'
import type { Env } from '../../../src/env.ts'
import { rowsOf } from '../../tables.ts'
import { anOrganization } from '../../world.ts'
import { fullEnvelope } from './envelope.ts'
import { aLeasedJob, type LeasedJob } from './leased-job.ts'

const MEGABYTE = 1024 * 1024
const HUGE = 50 * MEGABYTE
const OF_THE_SCAN = ['jobs', 'scans', 'scan_totals', 'outbox', 'audit_log', 'scan_blobs']

let leased: LeasedJob

beforeEach(async () => {
  leased = await aLeasedJob()
})

const envelope = () => {
  const { id: wireId, lease, digest } = leased.job
  return fullEnvelope({ wireId, fence: lease.fence, digest: digest!, ref: leased.job.scan.imageRef })
}

const stored = async () => {
  const prefix = `orgs/${leased.world.organization.num}/`
  return (await (env as unknown as Env).ARTIFACTS.list({ prefix })).objects.map(({ key }) => key)
}

/** 64 MB of spaces, packed to some 64 kB. */
async function aBomb(): Promise<Uint8Array<ArrayBuffer>> {
  let left = 64
  const spaces = new ReadableStream({
    pull: (controller) =>
      left-- > 0 ? controller.enqueue(new Uint8Array(MEGABYTE).fill(32)) : controller.close(),
  })
  const packed = spaces.pipeThrough(new CompressionStream('gzip'))
  return new Uint8Array(await new Response(packed).arrayBuffer())
}

describe('A packed body', () => {
  const headers = { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' }

  it('is refused as an upload, as a blob and as any JSON body, and never unpacked', async () => {
    const bomb = await aBomb()
    expect(bomb.length).toBeLessThan(MEGABYTE)
    const before = await rowsOf(leased.world.organization)
    const blob = `/api/agent/jobs/${leased.job.id}/blobs/${await sha256HexOfBytes(bomb)}?fence=1`
    for (const [method, path] of [
      ['POST', '/api/scans/upload'],
      ['PUT', blob],
      ['POST', '/api/agent/heartbeat'],
      ['POST', `/api/agent/jobs/${leased.job.id}/status`],
    ] as const) {
      const sent = { ...headers, 'Content-Length': String(bomb.length) }
      const answer = await leased.runner.send(method, path, { body: bomb, headers: sent })
      expect([answer.status, answer.body.code], path).toEqual([415, 'unsupported_media_type'])
    }
    const ours = await anOrganization()
    const answer = await ours.send('POST', '/api/api-keys', { body: bomb, headers })
    expect(answer).toBeProblem(415, 'UNSUPPORTED_MEDIA_TYPE')
    expect([await rowsOf(leased.world.organization), await stored()]).toEqual([before, []])
  })

  it('called "identity" is not packed', async () => {
    const body = JSON.stringify({ name: 'k', role: 'viewer' })
    const plain = { ...headers, 'Content-Encoding': 'identity' }
    const ours = await anOrganization()
    expect((await ours.send('POST', '/api/api-keys', { body, headers: plain })).status).toBe(201)
  })
})

describe('A text of 50 MB', () => {
  const long = 'x'.repeat(HUGE)

  it.each([
    ['a log line', { logs: [long] }],
    ['a title', { vulnerabilities: [{ ...fullEnvelope(terms()).vulnerabilities[0]!, title: long }] }],
    ['a name that nobody knows', { [long]: 1 }],
    ['a member that nobody knows', { pad: long, logs: 7 }],
  ])('as %s ends the scan FAILED and changes nothing', { timeout: 3 * 60_000 }, async (_, change) => {
    await leased.upload(JSON.stringify(envelope()))
    expect((await leased.ingest()).status).toBe('COMPLETE')
    await leased.again()
    const before = await rowsOf(leased.world.organization, OF_THE_SCAN)
    const { findings: _findings, ...rest } = envelope()
    const answer = await leased.upload(JSON.stringify({ ...rest, ...change }))
    expect(answer.status, answer.text).toBe(200)
    const { status, code } = await leased.ingest()
    expect([status, code]).toEqual(['FAILED', 'result_invalid'])
    expect(await rowsOf(leased.world.organization, OF_THE_SCAN)).toEqual(before)
  })

  it('before the id of the scan is refused, and nothing of it stays', { timeout: 3 * 60_000 }, async () => {
    const before = await rowsOf(leased.world.organization)
    const { scan, ...rest } = envelope()
    const answer = await leased.upload(JSON.stringify({ ...rest, pad: long, scan }))
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('validation_error')])
    expect([await rowsOf(leased.world.organization), await stored()]).toEqual([before, []])
  })
})

const terms = () => ({ wireId: '', fence: 1, digest: `sha256:${'a'.repeat(64)}`, ref: '' })

describe('200,000 findings', () => {
  it('of 10,000 verdicts are applied whole', { timeout: 5 * 60_000 }, async () => {
    const result = envelope()
    const [pkg, vulnerability, finding] = [
      result.packages[1]!,
      result.vulnerabilities[0]!,
      result.findings[0]!,
    ]
    result.packages = Array.from({ length: 100 }, (_, n) => ({ ...pkg, name: `package-${n}` }))
    result.vulnerabilities = Array.from({ length: 100 }, (_, n) => ({
      ...vulnerability,
      id: `CVE-2026-${n}`,
    }))
    result.findings = Array.from({ length: 200_000 }, (_, n) => ({
      ...{ ...finding, cvss: [], package: n % 100, vulnerability: Math.floor(n / 100) % 100 },
    }))
    const answer = await leased.upload(JSON.stringify(result))
    expect(answer.status, answer.text).toBe(200)
    expect((await leased.ingest()).status).toBe('COMPLETE')
    const { num } = leased.world.organization
    const [kept] = await leased.world.rows('SELECT high FROM artifacts WHERE org = ?', num)
    const [counted] = await leased.world.rows('SELECT count(*) AS high FROM matches WHERE org = ?', num)
    expect([kept, counted]).toEqual([{ high: 10_000 }, { high: 10_000 }])
  })
})
