import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { inject } from 'vitest'
import type { EngineName } from '../../scanner-runner/src/install/engine-manifest.ts'
import type { GrypeWords, TrivyWords } from './printed-findings.ts'

export const SCAN_TIMEOUT_MS = 60_000

export interface TrivyReport extends TrivyWords {
  Metadata: { ImageConfig: { architecture: string } }
  Results?: (NonNullable<TrivyWords['Results']>[number] & { Type: string })[]
}
interface GrypeReport extends GrypeWords {
  matches: (GrypeWords['matches'][number] & { artifact: { type: string } })[]
}

/** A finding as both engines name it: package and CVE, or the engine's own id where there is no CVE. */
export interface EngineFinding {
  type: string
  key: string
  purl: string | null
}

export const TRIVY_SCAN = ['image', '--scanners', 'vuln', '--format', 'json', '--quiet']

/** The running system's engines and sample databases, run by hand in a directory of their own. */
export class EngineBench {
  readonly work: string
  readonly #engines: Record<EngineName, string>
  readonly #databases: string

  constructor() {
    const { work, engines, sampleDatabases } = inject('system')
    this.work = mkdtempSync(join(work, 'bench-'))
    this.#engines = engines
    this.#databases = sampleDatabases
  }

  /** Runs an engine as the runner does: empty HOME and directory, no network, the sample databases. Returns its stdout as JSON. */
  async run<T>(engine: EngineName, args: string[], env: Record<string, string> = {}): Promise<T> {
    const home = mkdtempSync(join(this.work, 'home-'))
    const settings = {
      HOME: home,
      TMPDIR: home,
      NO_COLOR: '1',
      TRIVY_CACHE_DIR: join(this.#databases, 'trivy'),
      TRIVY_CACHE_BACKEND: 'memory',
      TRIVY_SKIP_DB_UPDATE: 'true',
      TRIVY_SKIP_JAVA_DB_UPDATE: 'true',
      TRIVY_SKIP_VEX_REPO_UPDATE: 'true',
      TRIVY_OFFLINE_SCAN: 'true',
      TRIVY_DISABLE_TELEMETRY: 'true',
      TRIVY_SKIP_VERSION_CHECK: 'true',
      GRYPE_DB_CACHE_DIR: join(this.#databases, 'grype'),
      GRYPE_DB_AUTO_UPDATE: 'false',
      GRYPE_DB_VALIDATE_AGE: 'false',
      GRYPE_CHECK_FOR_APP_UPDATE: 'false',
      SYFT_CHECK_FOR_APP_UPDATE: 'false',
      SYFT_REGISTRY_INSECURE_USE_HTTP: 'true',
      ...env,
    }
    const options = { cwd: home, env: settings, timeout: SCAN_TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 }
    const { stdout } = await promisify(execFile)(this.#engines[engine], args, options)
    return JSON.parse(stdout) as T
  }

  /** Trivy's report about the layout's linux/amd64. */
  trivyReport(layoutDir: string): Promise<TrivyReport> {
    return this.run<TrivyReport>('trivy', [...TRIVY_SCAN, '--input', layoutDir])
  }

  async trivyFindings(layoutDir: string): Promise<EngineFinding[]> {
    const report = await this.trivyReport(layoutDir)
    return (report.Results ?? []).flatMap(({ Type, Vulnerabilities = [] }) =>
      Vulnerabilities.map((found) => ({
        type: Type,
        purl: null,
        key: `${bareName(found.PkgName)} ${found.VulnerabilityID}`,
      })),
    )
  }

  /** Grype's report on what syft lists of linux/amd64. */
  async grypeReport(layoutDir: string): Promise<GrypeReport> {
    const home = mkdtempSync(join(this.work, 'syft-'))
    const sbom = join(home, 'syft.json')
    await promisify(execFile)(
      this.#engines.syft,
      ['scan', '-q', `oci-dir:${layoutDir}`, '--platform', 'linux/amd64', '-o', `syft-json=${sbom}`],
      {
        cwd: home,
        env: { HOME: home, TMPDIR: home, SYFT_CHECK_FOR_APP_UPDATE: 'false' },
        timeout: SCAN_TIMEOUT_MS,
      },
    )
    return this.run<GrypeReport>('grype', [`sbom:${sbom}`, '-q', '-o', 'json'])
  }

  async grypeFindings(layoutDir: string): Promise<EngineFinding[]> {
    const { matches } = await this.grypeReport(layoutDir)
    return matches.map(({ vulnerability, relatedVulnerabilities = [], artifact }) => {
      const ids = [vulnerability.id, ...relatedVulnerabilities.map(({ id }) => id)]
      return {
        type: artifact.type,
        purl: artifact.purl,
        key: `${bareName(artifact.name)} ${ids.find((id) => id.startsWith('CVE-')) ?? ids[0]}`,
      }
    })
  }

  remove(): void {
    rmSync(this.work, { recursive: true, force: true })
  }
}

/** Trivy writes Maven's group before the artifact and keeps the case of Python names; grype does neither. */
const bareName = (name: string) => name.split(':').at(-1)!.toLowerCase()

/** How many findings there are of each package type, in the engine's own words. */
export function countByType(findings: { type: string }[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { type } of findings) counts[type] = (counts[type] ?? 0) + 1
  return counts
}

/** The findings that only the first engine has, sorted. */
export const onlyIn = (mine: { key: string }[], theirs: { key: string }[]) => {
  const others = new Set(theirs.map(({ key }) => key))
  return [...new Set(mine.map(({ key }) => key))].filter((key) => !others.has(key)).sort()
}
