import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { Result } from '../../src/scanning/sensors/protocol.ts'
import { JobStopped } from '../src/job/job-stopped.ts'
import { aBench, type Bench } from './support/bench.ts'
import { ended } from './support/processes.ts'

vi.setConfig({ testTimeout: 30_000 }) // each job starts several processes, on machines that do other work

describe('a job', () => {
  it('gives a valid envelope, whose blobs are what it says', async () => {
    const { run, ref } = await aBench()
    const { envelope, blobs } = await run()
    expect(() => Result.parse(envelope)).not.toThrow()
    expect(envelope).toMatchObject({
      version: '1.1',
      fence: 1,
      scan: { id: 'job-1', status: 'SUCCESS', reason: null },
    })
    expect(envelope.image).toMatchObject({ ref, platform: 'linux/amd64', os: { family: 'debian' } })
    const named = [...envelope.engines.map(({ raw }) => raw), ...envelope.sboms]
    for (const one of named) {
      const blob = blobs.find(({ sha256 }) => sha256 === one?.sha256)
      expect(blob?.content.length).toBe(one?.size)
      expect(createHash('sha256').update(blob!.content).digest('hex')).toBe(one?.sha256)
    }
    expect(blobs).toHaveLength(5)
  })

  it('says which executable and which database an engine used', async () => {
    const { run } = await aBench()
    const { envelope } = await run()
    for (const { version, sha256 } of envelope.engines) {
      expect(version).toBe('9.9.9')
      expect(sha256).toMatch(/^[0-9a-f]{64}$/)
    }
    const databases = Object.fromEntries(envelope.engines.map(({ name, database }) => [name, database]))
    expect(databases).toEqual({
      trivy: { builtAt: '2020-01-01T00:00:00.123Z', schema: '2', source: 'sample', advisories: 25 },
      grype: { builtAt: '2026-11-20T06:00:00.000Z', schema: 'v6.1.4', source: 'sample', advisories: 25 },
      syft: null,
    })
  })

  it('stores no path of the runner, and names the SBOM after the reference without its digest', async () => {
    const { run, environment, ref } = await aBench()
    const { envelope, blobs } = await run()
    const everything = [
      JSON.stringify(envelope),
      ...blobs.map(({ content }) => Buffer.from(content).toString()),
    ]
    for (const text of everything) expect(text).not.toContain(environment.HG_WORK_DIR)
    expect(everything.join()).toContain(`"ArtifactName":"${ref}"`)
    expect(everything.join()).toContain(`"format":"spdx-json@2.3","name":"${ref}"`)
  })

  it('gives engines an empty directory, an empty HOME and a closed environment', async () => {
    process.env.AWS_SECRET_ACCESS_KEY = 'canary'
    const { run, engines } = await aBench()
    await run()
    delete process.env.AWS_SECRET_ACCESS_KEY
    for (const { cwd, home, env } of await engines.calls()) {
      expect({ cwd, home }).toEqual({ cwd: [], home: [] })
      expect(env.PATH).toBe('/usr/bin:/bin')
      const foreign = Object.keys(env).filter(
        (name) => !/^(PATH|HOME|TMPDIR|NO_COLOR|PWD|TRIVY_|GRYPE_|SYFT_)/.test(name),
      )
      expect(foreign.filter((name) => !/^(_|SHLVL|OLDPWD|__CF)/.test(name))).toEqual([])
    }
  })

  it('lets grype read the list of syft, or the image where there is no syft', async () => {
    const withSyft = await aBench()
    await withSyft.run({ scan: { imageRef: withSyft.ref, source: 'registry', scanners: ['grype'] } })
    const scans = async ({ engines }: Bench) =>
      (await engines.calls()).filter(({ args }) => args[0] !== 'version')
    expect((await scans(withSyft)).map(({ name }) => name)).toEqual(['syft', 'grype'])
    expect((await scans(withSyft))[1]?.args[0]).toMatch(/^sbom:.*syft\.json$/)
    const without = await aBench({ engines: ['grype'] })
    const result = await without.run({
      scan: { imageRef: without.ref, source: 'registry', scanners: ['grype'] },
    })
    expect((await scans(without))[0]?.args[0]).toMatch(/^oci-dir:/)
    expect(result.envelope.scan.status).toBe('SUCCESS')
  })

  it('deletes its directory, whatever happened', async () => {
    const { run, environment, engines } = await aBench()
    await run()
    await engines.behave('syft', 'stderr:boom')
    await run()
    await run({ scan: { imageRef: 'no-such-host.invalid/a:1', source: 'registry', scanners: [] } })
    expect(await readdir(join(environment.HG_WORK_DIR!, 'running'))).toEqual([])
  })
})

describe('what ends a job early', () => {
  it('is a pull that fails: the envelope says why, and no engine runs', async () => {
    const { run, engines } = await aBench()
    const { envelope, blobs } = await run({
      scan: { imageRef: 'no-such-host.invalid/a:1', source: 'registry', scanners: ['trivy', 'dive'] },
    })
    expect(() => Result.parse(envelope)).not.toThrow()
    expect(envelope).toMatchObject({
      image: null,
      scan: { status: 'FAILED', reason: { code: 'registry_unreachable' } },
    })
    expect(envelope.engines.map(({ status }) => status)).toEqual(['skipped', 'skipped'])
    expect(blobs).toEqual([])
    expect((await engines.calls()).every(({ args }) => args[0] === 'version')).toBe(true)
  })

  it('is a stop: engines, and what left their group, are gone when it settles', async () => {
    const { run, engines } = await aBench()
    for (const name of ['trivy', 'syft'] as const) await engines.behave(name, 'hang')
    const controller = new AbortController()
    const running = run({}, controller.signal)
    while ((await engines.escaped()).length < 2) await new Promise((done) => setImmediate(done))
    controller.abort(new JobStopped('cancelled'))
    await expect(running).rejects.toMatchObject({ kind: 'cancelled' })
    for (const pid of await engines.escaped()) expect(await ended(pid)).toBe(true)
  })
})
