import { chmodSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { readEngineLock, writeEngineLock } from './engine-lock.ts'
import {
  ENGINE_MANIFEST,
  ENGINE_NAMES,
  type EngineManifest,
  type EngineName,
  type PlatformKey,
  platformKey,
} from './engine-manifest.ts'
import { fileSha256 } from './file-sha256.ts'
import { findOnPath } from './find-on-path.ts'
import { fromGo } from './from-go.ts'
import { fromPypi } from './from-pypi.ts'
import { fromPublished, fromRelease } from './from-release.ts'
import type { EngineResult, EngineSource, InstalledEngine, Obtained } from './installed-engine.ts'
import { readVersion } from './read-version.ts'

const WORK_PREFIX = '.installing-'
const ABANDONED_AFTER_MS = 24 * 60 * 60 * 1000 // far beyond the longest build

export const ALL_SOURCES: readonly EngineSource[] = ['path', 'release', 'pypi', 'go', 'published']

interface InstallOptions {
  /** Where to look, in the order of `ALL_SOURCES`; all of them unless given. */
  sources?: readonly EngineSource[]
  /** Takes one sentence for people at a time. */
  log?: (sentence: string) => void
  /** The machine's PATH unless given. */
  path?: string
  manifest?: Readonly<Record<EngineName, EngineManifest>>
  platform?: PlatformKey
  /** Ends the installation at once: programs it started included. What was not installed then is unavailable. */
  signal?: AbortSignal
}

interface Installation extends Required<Omit<InstallOptions, 'signal'>> {
  signal?: AbortSignal
  directory: string
  /** Hosts that did not answer, and the sentence about it: asked once for all engines. */
  unreachable: Map<string, string>
}

/**
 * Installs the engines that `directory` lacks and records all of them in its `engines.lock.json`. Programs appear there
 * complete or not at all, also when several installations run at once. An engine that cannot be had is a result, not
 * an error; rejects only when the directory cannot be written.
 */
export async function installEngines(
  directory: string,
  options: InstallOptions = {},
): Promise<EngineResult[]> {
  const installation: Installation = {
    sources: ALL_SOURCES,
    log: () => {},
    path: process.env.PATH ?? '',
    manifest: ENGINE_MANIFEST,
    platform: platformKey(),
    ...options,
    directory: resolve(directory),
    unreachable: new Map(),
  }
  mkdirSync(installation.directory, { recursive: true })
  removeAbandonedWork(installation.directory)
  const lock = readEngineLock(installation.directory)
  const results: EngineResult[] = []
  for (const name of ENGINE_NAMES) {
    const result = await installEngine(installation, name, lock.get(name))
    installation.log(describe(result))
    results.push(result)
  }
  writeEngineLock(
    installation.directory,
    results.filter((result) => 'path' in result),
  )
  return results
}

async function installEngine(
  installation: Installation,
  name: EngineName,
  recorded: InstalledEngine | undefined,
): Promise<EngineResult> {
  const { manifest, sources, platform, log } = installation
  if (recorded && (await isIntact(manifest[name], sources, recorded))) return recorded
  const pinned = await findPinned(installation, name)
  if (pinned) return pinned
  if (sources.includes('path')) {
    const found = await fromPath(installation, name)
    if (found) return found
  }
  const refusals: string[] = []
  for (const source of ['release', 'pypi', 'go', 'published'] as const) {
    if (!sources.includes(source) || !has(manifest[name], source, platform)) continue
    if (installation.signal?.aborted) continue
    const obtained = await obtain(installation, name, source)
    if ('path' in obtained) {
      return { name, version: manifest[name].version, path: obtained.path, sha256: obtained.sha256, source }
    }
    log(`${name}: not from ${SOURCE_NAMES[source]}: ${obtained.refused}`)
    refusals.push(obtained.refused)
  }
  const why = refusals.length ? refusals.join('; ') : 'it is not on the PATH in a known version'
  return { name, unavailable: `${name} ${manifest[name].version} cannot be had here: ${why}.` }
}

/** Whether the manifest names this source for this engine. */
function has({ release, pypi, go }: EngineManifest, source: string, platform: PlatformKey): boolean {
  if (source === 'pypi') return pypi !== null
  if (source === 'go') return go !== null
  const archive = release.archives[platform]
  return source === 'published' ? archive?.sha256 === null : archive !== undefined
}

/** Whether what the lock records is still there, unchanged, in a version the manifest accepts, from an allowed source. */
async function isIntact(
  manifest: EngineManifest,
  sources: readonly EngineSource[],
  recorded: InstalledEngine,
): Promise<boolean> {
  const accepted = recorded.source === 'path' ? manifest.versionsAcceptedFromPath : [manifest.version]
  if (!sources.includes(recorded.source) || !accepted.includes(recorded.version)) return false
  return (await fileSha256(recorded.path)) === recorded.sha256
}

/** A program that is in the directory without a record, if its sum is one that the manifest pins. */
async function findPinned(installation: Installation, name: EngineName): Promise<InstalledEngine | null> {
  const { directory, manifest, platform, sources } = installation
  const path = join(directory, name)
  const sha256 = await fileSha256(path)
  const { pypi, go, version } = manifest[name]
  const fromWheel = pypi?.wheels[platform]?.memberSha256 === sha256
  const source = fromWheel ? 'pypi' : go?.binaries.some((binary) => binary.sha256 === sha256) ? 'go' : null
  return sha256 && source && sources.includes(source) ? { name, version, path, sha256, source } : null
}

async function fromPath(installation: Installation, name: EngineName): Promise<InstalledEngine | null> {
  const path = findOnPath(name, installation.path)
  if (!path) return null
  const version = await readVersion(name, path)
  const accepted = installation.manifest[name].versionsAcceptedFromPath
  if (!version || !accepted.includes(version)) {
    installation.log(
      `${name}: the one on the PATH is ${version ?? 'of no known version'}, wanted ${accepted.join(', ')}`,
    )
    return null
  }
  return { name, version, path, sha256: (await fileSha256(path))!, source: 'path' }
}

/** Fetches into a directory of its own beside the target and moves the finished program into place. */
async function obtain(
  installation: Installation,
  name: EngineName,
  source: Exclude<EngineSource, 'path'>,
): Promise<Obtained> {
  const { directory, manifest, platform, unreachable, log, signal } = installation
  const work = mkdtempSync(join(directory, `${WORK_PREFIX}${name}-`))
  const obtainFrom = {
    release: () => fromRelease(manifest[name], platform, work, unreachable, signal),
    pypi: () => fromPypi(manifest[name], platform, work, signal),
    go: () => fromGo(name, manifest[name], platform, work, log, signal),
    published: () => fromPublished(manifest[name], platform, work, unreachable, signal),
  }
  try {
    if (source === 'pypi') log(`${name}: downloading ${manifest[name].version} from PyPI`)
    const obtained = await obtainFrom[source]()
    if ('refused' in obtained) return obtained
    chmodSync(obtained.path, 0o755)
    const version = await readVersion(name, obtained.path)
    if (version !== manifest[name].version)
      return { refused: `the program says it is version ${version ?? 'unknown'}` }
    const path = join(directory, name)
    renameSync(obtained.path, path)
    return { path, sha256: obtained.sha256 }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Removes what an installation that was killed left behind; younger work may belong to one that is running. */
function removeAbandonedWork(directory: string): void {
  for (const entry of readdirSync(directory)) {
    const path = join(directory, entry)
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
    if (entry.startsWith(WORK_PREFIX) && age > ABANDONED_AFTER_MS)
      rmSync(path, { recursive: true, force: true })
  }
}

const SOURCE_NAMES: Record<EngineSource, string> = {
  path: 'the PATH',
  release: 'its release archive',
  pypi: 'a PyPI wheel (repackaged by a third party)',
  go: "Go's module proxy",
  published: 'its release archive, by the checksum that its maker publishes',
}

function describe(result: EngineResult): string {
  if ('unavailable' in result) return result.unavailable
  const { name, version, path, sha256, source } = result
  return `${name} ${version} from ${SOURCE_NAMES[source]}: ${path} (sha256 ${sha256.slice(0, 12)}…)`
}
