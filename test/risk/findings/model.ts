import { FINDING_ENGINES, type FindingEngine } from '../../../src/scanning/sensors/result.ts'

/** What one engine prints of one scan in the small world: package and vulnerability to severity (0–4) and score (tenths). */
export type Printed = Map<string, { severity: number; cvss: number | null }>

export interface WorldScan {
  artifact: string
  at: number
  now: number
  /** Packages that syft lists; null: syft did not run or failed. */
  listed: readonly string[] | null
  /** `build` is null where the output does not say which database it comes from. */
  engines: Partial<Record<FindingEngine, { build: number | null; failed: boolean; printed: Printed }>>
}

export interface ModelFinding {
  engines: FindingEngine[]
  severity: number
  cvss: number | null
}

interface ModelArtifact {
  live: boolean
  links: Set<string>
  last: Map<FindingEngine, { build: number; at: number; printed: Set<string> }>
}

const DAY = 24 * 60 * 60 * 1000

/** An unknown build is that of the artifact's last accepted output, else older than every known one. */
const buildOf = (scan: WorldScan, engine: FindingEngine, last: { build: number } | undefined): number =>
  scan.engines[engine]?.build ?? last?.build ?? 0

/** The rule of findings in memory, with no exclusions, no deltas and no storage: the oracle of the property tests. */
export class Model {
  readonly artifacts = new Map<string, ModelArtifact>()
  /** "engine package vulnerability" to the build that first confirmed it. */
  readonly first = new Map<string, number>()
  readonly said = new Map<string, { severity: number; cvss: number | null }>()
  readonly newest = new Map<FindingEngine, number>()

  artifact(name: string): ModelArtifact {
    const known = this.artifacts.get(name)
    if (known) return known
    const made: ModelArtifact = { live: true, links: new Set(), last: new Map() }
    this.artifacts.set(name, made)
    return made
  }

  /** Applies a scan; returns the engines that were accepted. */
  scan(scan: WorldScan): FindingEngine[] {
    const artifact = this.artifact(scan.artifact)
    const accepted = FINDING_ENGINES.filter((engine) => {
      const run = scan.engines[engine]
      const last = artifact.last.get(engine)
      const build = buildOf(scan, engine, last)
      if (!run || run.failed || build > scan.now + DAY) return false
      return !last || build > last.build || (build === last.build && scan.at >= last.at)
    })
    if (accepted.length === 0 && scan.listed === null) return []
    artifact.live = true
    for (const name of scan.listed ?? []) artifact.links.add(name)
    for (const engine of accepted) this.accept(artifact, engine, scan)
    this.withdraw()
    return accepted
  }

  private accept(artifact: ModelArtifact, engine: FindingEngine, scan: WorldScan): void {
    const { printed } = scan.engines[engine]!
    const build = buildOf(scan, engine, artifact.last.get(engine))
    this.newest.set(engine, Math.max(build, this.newest.get(engine) ?? 0))
    artifact.last.set(engine, { build, at: scan.at, printed: new Set(printed.keys()) })
    for (const [key, verdict] of printed) {
      artifact.links.add(key.split(' ')[0]!)
      const id = `${engine} ${key}`
      if (!this.first.has(id)) {
        this.first.set(id, build)
        this.said.set(id, verdict)
      } else if (build >= this.newest.get(engine)!) {
        this.said.set(id, verdict)
      }
    }
  }

  retire(name: string): void {
    const artifact = this.artifact(name)
    artifact.live = false
    artifact.links.clear()
    artifact.last.clear()
    this.withdraw()
  }

  private shows(artifact: ModelArtifact, engine: FindingEngine, key: string): boolean {
    const last = artifact.last.get(engine)
    if (!artifact.live || !last || !artifact.links.has(key.split(' ')[0]!)) return false
    return last.printed.has(key) || this.first.get(`${engine} ${key}`)! > last.build
  }

  private withdraw(): void {
    for (const id of [...this.first.keys()]) {
      const [engine, ...key] = id.split(' ')
      const shown = [...this.artifacts.values()].some((a) =>
        this.shows(a, engine as FindingEngine, key.join(' ')),
      )
      if (shown) continue
      this.first.delete(id)
      this.said.delete(id)
    }
  }

  /** "package vulnerability" to the finding, for one artifact. */
  findings(name: string): Map<string, ModelFinding> {
    const artifact = this.artifact(name)
    const keys = new Set([...this.first.keys()].map((id) => id.slice(id.indexOf(' ') + 1)))
    const list = new Map<string, ModelFinding>()
    for (const key of keys) {
      const engines = FINDING_ENGINES.filter(
        (engine) => this.first.has(`${engine} ${key}`) && this.shows(artifact, engine, key),
      )
      if (engines.length === 0) continue
      const said = FINDING_ENGINES.flatMap((engine) => this.said.get(`${engine} ${key}`) ?? [])
      list.set(key, {
        engines,
        severity: Math.max(...said.map((verdict) => verdict.severity)),
        cvss: said.find((verdict) => verdict.cvss !== null)?.cvss ?? null,
      })
    }
    return list
  }

  /** "artifact package vulnerability" to the engines that the artifact excludes. */
  exclusions(): Map<string, FindingEngine[]> {
    const list = new Map<string, FindingEngine[]>()
    for (const [name, artifact] of this.artifacts) {
      for (const [id, first] of this.first) {
        const engine = id.slice(0, id.indexOf(' ')) as FindingEngine
        const key = id.slice(id.indexOf(' ') + 1)
        const last = artifact.last.get(engine)
        if (!last || !artifact.links.has(key.split(' ')[0]!)) continue
        if (last.printed.has(key) || last.build < first) continue
        list.set(`${name} ${key}`, [...(list.get(`${name} ${key}`) ?? []), engine])
      }
    }
    return list
  }
}
