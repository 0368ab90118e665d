import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { notRun } from '../../test/e2e/not-run.ts'
import { aBench, statuses } from './support/bench.ts'
import { aJob } from './support/dashboard.ts'
import { aScene, polled, start } from './support/scene.ts'
import { aSmallDisk, useUpFiles } from './support/small-disk.ts'

vi.setConfig({ testTimeout: 60_000 }) // each job starts several processes, on machines that do other work

const MEGABYTE = 1024 * 1024

/** A small file system, or the honest word that there is none here. */
async function disk(bytes: number): Promise<string | null> {
  const directory = await aSmallDisk(bytes)
  if (directory === null) notRun('A full disk in the runner (mounting a small file system needs root).')
  return directory
}

describe('a disk that is full', () => {
  it('while an image is pulled fails the scan with disk_full and leaves nothing', async () => {
    const small = await disk(MEGABYTE)
    if (small === null) return
    const bench = await aBench({
      environment: { HG_WORK_DIR: join(small, 'work') },
      layers: [randomBytes(2 * MEGABYTE)],
    })
    const { envelope } = await bench.run()
    expect(envelope).toMatchObject({ image: null, scan: { status: 'FAILED', reason: { code: 'disk_full' } } })
    expect(envelope.engines.map(({ status }) => status)).toEqual(['skipped', 'skipped', 'skipped'])
    expect(await readdir(join(small, 'work', 'running'))).toEqual([])
  })

  it('while an engine unpacks fails that engine with disk_full; the next job succeeds', async () => {
    const small = await disk(4 * MEGABYTE)
    if (small === null) return
    const bench = await aBench({ environment: { HG_WORK_DIR: join(small, 'work') } })
    await bench.engines.behave('trivy', 'unpack')
    const scan = { imageRef: bench.ref, source: 'registry' as const, scanners: ['trivy'] }
    const { envelope } = await bench.run({ scan })
    expect(envelope.engines.map(({ reason }) => reason?.code)).toEqual(['disk_full'])
    expect(envelope.scan).toMatchObject({ status: 'FAILED', reason: { code: 'all_engines_failed' } })
    expect(await readdir(join(small, 'work', 'running'))).toEqual([])
    await bench.engines.behave('trivy', 'ok')
    expect(statuses(await bench.run())).toEqual({ trivy: 'succeeded', grype: 'succeeded', syft: 'succeeded' })
  })

  it('before a job begins is reported as disk_full, and the runner lives on', async () => {
    const small = await disk(4 * MEGABYTE)
    if (small === null) return
    const { dashboard, environment, ref } = await aScene({ HG_WORK_DIR: join(small, 'work') })
    const runner = start(environment)
    await polled(dashboard)
    await useUpFiles(small)
    dashboard.jobs.push(aJob(ref))
    const said = await dashboard.until(() => dashboard.statuses()[0])
    expect(said).toMatchObject({ status: 'failed', reason: { code: 'disk_full' } })
    expect(runner.process.exitCode).toBeNull()
  })
})
