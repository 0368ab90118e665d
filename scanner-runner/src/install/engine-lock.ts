import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ENGINE_NAMES, type EngineName } from './engine-manifest.ts'
import type { EngineSource, InstalledEngine } from './installed-engine.ts'

const FILE = 'engines.lock.json'
const SOURCES: readonly EngineSource[] = ['path', 'release', 'pypi', 'go', 'published']

/** What an earlier installation recorded in the directory; entries that are not in shape are left out. */
export function readEngineLock(directory: string): Map<EngineName, InstalledEngine> {
  let recorded: unknown
  try {
    recorded = JSON.parse(readFileSync(join(directory, FILE), 'utf8'))
  } catch {
    return new Map() // none yet, or unreadable: everything is verified anew
  }
  const engines = (recorded as { engines?: unknown } | null)?.engines
  const entries = Array.isArray(engines) ? engines.filter(isEngine) : []
  return new Map(entries.map((entry) => [entry.name, entry]))
}

/** Records the engines in the directory, in one step. */
export function writeEngineLock(directory: string, engines: readonly InstalledEngine[]): void {
  const path = join(directory, FILE)
  const work = `${path}.${process.pid}`
  writeFileSync(work, `${JSON.stringify({ engines }, null, 2)}\n`)
  renameSync(work, path)
}

function isEngine(value: unknown): value is InstalledEngine {
  const { name, version, path, sha256, source } = (value ?? {}) as Record<string, unknown>
  const texts = [version, path].every((text) => typeof text === 'string' && text !== '')
  const known = ENGINE_NAMES.includes(name as EngineName) && SOURCES.includes(source as EngineSource)
  return texts && known && typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256)
}
