import { readdirSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { Api } from '../../dev/local/api.ts'
import { writeSampleImage } from '../../dev/sample/image/sample-image.ts'
import { type SampleRegistry, serveLayouts } from '../../dev/sample/registry.ts'
import { aFreePort } from './a-port.ts'
import type { ShownFinding } from './compare-findings.ts'
import { findingsTable, NpmStart } from './npm-start.ts'
import { processesNaming } from './processes-naming.ts'
import { ended } from './scans.ts'

const KEY = /hg_ak_[0-9a-f]{48}/g
const BEYOND_GRACE_MS = 60_000 // a stopping runner lets a job end for ten seconds

const state = join(inject('system').work, 'npm-start')
const running: NpmStart[] = []
let registry: SampleRegistry
let first: NpmStart
let firstCode: number | null
let apiKey: string

function npmStart(port: number, ...args: string[]): NpmStart {
  const start = new NpmStart('--state', state, '--port', String(port), '--databases', 'sample', ...args)
  running.push(start)
  return start
}

beforeAll(async () => {
  const image = writeSampleImage(join(inject('system').work, 'start-image'))
  registry = await serveLayouts({
    repositories: { 'team/slow': { layoutDir: image.layoutDir, tags: { [image.tag]: image.digest } } },
  })
  first = npmStart(await aFreePort(), '--once')
  firstCode = await first.ended()
  apiKey = first.output.match(KEY)?.[0] ?? ''
})
afterAll(async () => {
  for (const start of running) start.interrupt()
  await Promise.all(running.map((start) => start.ended()))
  await registry?.close()
})

/** Files and directories below a directory, with their permission bits. */
const modes = (directory: string) =>
  readdirSync(directory, { recursive: true, encoding: 'utf8', withFileTypes: true }).map((entry) => {
    const path = join(entry.parentPath, entry.name)
    return { path, mode: statSync(path).mode & 0o777, isDirectory: entry.isDirectory() }
  })

describe('the first npm start -- --once', () => {
  it('ends with 0 and prints engines with their origin, the key, progress, findings, grade and where it serves', () => {
    expect(first.output).toMatch(/^ {2}trivy 0\.76\.0 .*from/m)
    expect(first.output).toMatch(/^ {2}grype 0\.110\.0 .*from/m)
    expect(first.output).toMatch(/^ {2}syft \S+ .*from/m)
    expect(first.output).toContain('Migrations applied.')
    expect(first.output.match(KEY)).toHaveLength(1)
    expect(first.output).toMatch(/^ +\d+ % {2}(pulling|scanning)$/m)
    expect(first.output).toMatch(/^Grade D, risk score 100$/m)
    expect(first.output).toMatch(/^ {2}(trivy|grype) \S+: succeeded, database sample of \d+ advisories/m)
    expect(first.output).toContain('SAMPLE databases')
    expect(first.output).toMatch(/http:\/\/127\.0\.0\.1:\d+\/docs/)
    expect(firstCode).toBe(0)
  })

  it('prints a table with findings of trivy and grype together', () => {
    const rows = findingsTable(first.output)
    expect(rows.length).toBe(60)
    expect(rows[0]![0]).toBe('CRITICAL')
    expect(rows.filter((row) => row[5] === 'trivy + grype').length).toBeGreaterThan(50)
    expect(Number(/^(\d+) findings/m.exec(first.output)![1])).toBeGreaterThan(300)
  })

  it('leaves no process behind, and a state directory that only its owner reads', () => {
    expect(processesNaming(state)).toEqual([])
    expect(statSync(state).mode & 0o777).toBe(0o700)
    const open = modes(state).filter(({ mode, isDirectory }) => mode !== (isDirectory ? 0o700 : 0o600))
    expect(open).toEqual([])
  })
})

describe('a second start', () => {
  it('keeps data and key, migrates nothing, prints no key, and finds the same', async () => {
    const second = npmStart(await aFreePort(), '--once')
    expect(await second.ended()).toBe(0)
    expect(second.output).not.toContain('Migrations applied.')
    expect(second.output).not.toMatch(KEY)
    expect(findingsTable(second.output)).toEqual(findingsTable(first.output))
    const summary = /^\d+ findings.*$/m
    expect(summary.exec(second.output)![0]).toBe(summary.exec(first.output)![0])
  })

  it('that is interrupted while it scans leaves nothing running, and the next one ends that scan and stays up', async () => {
    registry.setFault({ on: 'blobs', kind: 'slow', delayMs: BEYOND_GRACE_MS })
    const interrupted = npmStart(await aFreePort(), `${registry.host}/team/slow:1.0`)
    await interrupted.printed(/^ +\d+ % {2}pulling$/m)
    interrupted.interrupt()
    expect(await interrupted.ended()).toBe(130)
    expect(processesNaming(state)).toEqual([])

    registry.setFault(null)
    const port = await aFreePort()
    const occupier = createServer().listen(port, '127.0.0.1')
    const third = npmStart(port)
    await third.printed(/^Up after .*$/m)
    expect(third.output).toContain(`Port ${port} is in use; taking`)
    const url = /^API +(\S+)\/api/m.exec(third.output)![1]!
    const api = new Api(url, apiKey)
    const scans = await api.all<{ id: string; image: string }>('/api/scans')
    const left = scans.find(({ image }) => image.includes('/team/slow:'))!
    expect(await ended(api, left.id)).toMatchObject({ status: 'COMPLETE', partial: false })

    const found = await api.all<ShownFinding>('/api/vulnerabilities?limit=200')
    const rows = found.map((row) => [
      ...[row.severity, row.cveId, `${row.packageName} (${row.packageType})`, row.installedVersion],
      ...[row.fixedVersion ?? '–', row.sources.join(' + ')],
    ])
    expect(rows).toHaveLength(Number(/^(\d+) findings/m.exec(third.output)![1]))
    expect(rows).toEqual(expect.arrayContaining(findingsTable(third.output)))
    const images = await api.all<{ name: string; grade: string }>('/api/images')
    expect(images.find(({ name }) => name === `${registry.host}/team/slow`)?.grade).toBe('D')
    expect(images.find(({ name }) => name.endsWith('/harborguard/sample'))?.grade).toBe('D')

    third.interrupt()
    expect(await third.ended()).toBe(0)
    expect(processesNaming(state)).toEqual([])
    occupier.close()
  })

  it('fails with the reason when the image does not exist, before it starts anything when it is no image', async () => {
    const missing = npmStart(await aFreePort(), `${registry.host}/team/none:1.0`, '--once')
    expect(await missing.ended()).toBe(1)
    expect(missing.output).toMatch(/ended FAILED: image_not_found /)
    const nonsense = npmStart(await aFreePort(), 'https://example.com/a b')
    expect(await nonsense.ended()).toBe(1)
    expect(nonsense.output).not.toContain('Engines')
    expect(processesNaming(state)).toEqual([])
  })
})
