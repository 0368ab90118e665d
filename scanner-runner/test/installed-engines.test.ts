import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { RUNNER_ENGINES } from '../src/engines/engine.ts'
import { engineTable } from '../src/engines/engine-table.ts'
import { findEngines } from '../src/engines/installed-engines.ts'
import { createLog } from '../src/log.ts'
import { createRedactor } from '../src/redact.ts'
import { fakeEngines } from './support/workshop.ts'

vi.setConfig({ testTimeout: 30_000 }) // each job starts several processes, on machines that do other work

describe('an installed engine', () => {
  it('that differs from its pinned sha256 is left out', async () => {
    const engines = await fakeEngines(['trivy', 'syft'])
    const found = async (sha256: string) => {
      const entry = { name: 'trivy', version: '9.9.9', path: 'trivy', sha256, source: 'release' }
      await writeFile(join(engines.directory, 'engines.lock.json'), JSON.stringify({ engines: [entry] }))
      const scratchDir = join(engines.directory, 'scratch')
      await rm(scratchDir, { recursive: true, force: true })
      await mkdir(scratchDir)
      const drivers = engineTable({ trivyCacheDir: '', grypeCacheDir: '', samples: null })
      const lines: string[] = []
      const write = (line: string) => void lines.push(line)
      const log = createLog({ level: 'info', redactor: createRedactor(), write, now: () => new Date() })
      const signal = new AbortController().signal
      const search = {
        enginesDir: engines.directory,
        scratchDir,
        wanted: RUNNER_ENGINES,
        drivers,
        log,
        signal,
      }
      return { names: await findEngines(search), lines }
    }
    const refused = await found('0'.repeat(64))
    expect(refused.names).toEqual([])
    expect(refused.lines.join()).toContain('engine_left_out')
  })
})
