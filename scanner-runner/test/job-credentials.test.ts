import { CompactEncrypt, importJWK } from 'jose'
import { describe, expect, it, vi } from 'vitest'
import { aBench, type Bench } from './support/bench.ts'

vi.setConfig({ testTimeout: 30_000 }) // each job starts several processes, on machines that do other work

describe('registry credentials', () => {
  const PASSWORD = 'canary-Passw0rd!'
  const basic = `Basic ${Buffer.from(`scanner:${PASSWORD}`).toString('base64')}`

  async function seal({ key, ref }: Bench, over: object = {}): Promise<string> {
    const header = {
      job: 'job-1',
      fence: 1,
      runner: 'agent-1',
      host: ref.split('/')[0],
      exp: Date.now() / 1000 + 60,
    }
    return new CompactEncrypt(
      new TextEncoder().encode(JSON.stringify({ username: 'scanner', password: PASSWORD })),
    )
      .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', ...header, ...over })
      .encrypt(await importJWK(key.publicKey, 'ECDH-ES'))
  }

  it('are opened for the pull, and appear nowhere', async () => {
    const bench = await aBench({ basic })
    const { envelope, blobs } = await bench.run({ credentials: await seal(bench) })
    expect(envelope.scan.status).toBe('SUCCESS')
    const calls = JSON.stringify(await bench.engines.calls())
    const everything = [
      JSON.stringify(envelope),
      ...bench.lines,
      calls,
      ...blobs.map(({ content }) => Buffer.from(content).toString()),
    ]
    for (const text of everything) expect(text).not.toMatch(/canary|c2Nhbm5lcj/)
  })

  it.each([
    ['another job', { job: 'job-2' }],
    ['another fence', { fence: 2 }],
    ['another host', { host: 'registry.example' }],
    ['a time that has passed', { exp: 1 }],
  ])(
    'for %s fail the job with credentials_unavailable before anything is asked of the registry',
    async (_what, over) => {
      const bench = await aBench({ basic })
      const { envelope } = await bench.run({ credentials: await seal(bench, over) })
      expect(envelope.scan).toMatchObject({ status: 'FAILED', reason: { code: 'credentials_unavailable' } })
    },
  )

  it('that are missing are registry_unauthorized', async () => {
    const bench = await aBench({ basic })
    expect((await bench.run()).envelope.scan.reason?.code).toBe('registry_unauthorized')
  })
})
