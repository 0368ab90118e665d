import type { EngineName } from './engine-manifest.ts'

/**
 * Where a program came from: the machine's PATH, the maker's release archive with a pinned checksum, a PyPI wheel, Go's
 * module proxy, or a release archive with the checksum that its maker publishes.
 */
export type EngineSource = 'path' | 'release' | 'pypi' | 'go' | 'published'

export interface InstalledEngine {
  name: EngineName
  version: string
  /** Absolute. */
  path: string
  sha256: string
  source: EngineSource
}

/** An engine that cannot be had here, and why, in one sentence for people. */
interface UnavailableEngine {
  name: EngineName
  unavailable: string
}

export type EngineResult = InstalledEngine | UnavailableEngine

/** What one source came to: a program at `path` that was verified, or a clause that says why not. */
export type Obtained = { path: string; sha256: string } | { refused: string }
