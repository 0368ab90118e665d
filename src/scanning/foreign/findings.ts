import { line, type Notes, prose, webLinks } from '../normalise/index.ts'
import { BrokenEnvelope } from '../results/index.ts'
import {
  type CvssScore,
  FINDING_ENGINES,
  FindingEngine,
  type FixState,
  type ResultFinding,
  type ResultVulnerability,
  SEVERITIES,
} from '../sensors/result.ts'
import { listerOf, type Wanted } from './catalogue.ts'
import { ForeignVulnerability, type RecordList } from './envelope.ts'
import { meetingKey } from './packages.ts'

interface NamedFinding {
  engine: FindingEngine
  id: string
  /** Of the package, and where it meets the lists. */
  name: string
  version: string
  key: string
  record: ForeignVulnerability
}

/** What a record says; null (and counted) where it has no id, or is of no engine that finds something. */
function namedFinding(given: unknown, notes: Notes): NamedFinding | null {
  const { data: record } = ForeignVulnerability.safeParse(given)
  const { data: engine } = FindingEngine.safeParse(record?.source?.toLowerCase())
  if (!record || !engine) {
    notes.count('findings of no known engine left out')
    return null
  }
  const id = line(record.cveId, 128, 'cveId', notes)
  if (!id) {
    notes.count('findings without an id left out')
    return null
  }
  const name = line(record.packageName, 512, 'packageName', notes) || 'unknown'
  const version = line(record.installedVersion, 512, 'installedVersion', notes)
  return { engine, id, name, version, key: meetingKey(name, version), record }
}

const silent: Notes = { count: () => {}, lines: () => [] }

/** INFO, NEGLIGIBLE and whatever else is printed are UNKNOWN. */
const severityOf = (printed: string | null | undefined): ResultFinding['severity'] =>
  SEVERITIES.find((severity) => severity === printed?.trim().toUpperCase()) ?? 'UNKNOWN'

/** A score of which nobody says whose it is. The sensor takes version 3 where it can choose. */
function scoresOf(score: number | null | undefined): CvssScore[] {
  if (typeof score !== 'number' || !(score >= 0 && score <= 10)) return []
  return [{ source: 'unknown', version: '3.1', vector: '', score }]
}

function fixOf(printed: string | null | undefined): { fixState: FixState; fixedVersions: string[] } {
  const versions = (printed ?? '')
    .split(',', 50)
    .map((version) => line(version, 512, 'fixedVersion', silent))
    .filter(Boolean)
  return { fixState: versions.length > 0 ? 'fixed' : 'unknown', fixedVersions: versions }
}

/** How much of an advisory's text a record has: engines differ, and any of them may have come first. */
const richness = ({ title, description, vulnerabilityUrl }: ForeignVulnerability): number =>
  (title ? 4 : 0) + (description ? 2 : 0) + (vulnerabilityUrl ? 1 : 0)

const MAX_PACKAGES = 50_000 // with findings; some 500 bytes each are held, and no image comes near it

const newlyWanted = (name: string, version: string): Wanted => ({
  ...{ name, version, engines: 0, made: -1, known: null },
  ...{ trivy: -1, trivyRank: -1, syft: -1, syftRank: -1 },
})

interface Advisory {
  /** Number of the record whose text counts. */
  record: number
  rich: number
  index: number
}

/**
 * The findings of an envelope 1.0: read through once, then given as often as wanted. Holds ids, and names and
 * versions of packages, never a text. Throws BrokenEnvelope for findings on more packages than are held.
 */
export class ForeignFindings {
  /** Of all records those that are findings. */
  count = 0
  readonly engines = new Set<FindingEngine>()
  readonly wanted = new Map<string, Wanted>()
  readonly advisories = new Map<string, Advisory>()
  private readonly list: RecordList

  private constructor(list: RecordList) {
    this.list = list
  }

  static async of(list: RecordList, notes: Notes): Promise<ForeignFindings> {
    const findings = new ForeignFindings(list)
    for await (const { first, records } of list.read()) {
      for (const [at, given] of records.entries()) {
        const finding = namedFinding(given, notes)
        if (finding) findings.learn(finding, first + at)
      }
    }
    const inOrder = [...findings.advisories.values()].sort((a, b) => a.record - b.record)
    for (const [index, advisory] of inOrder.entries()) advisory.index = index
    return findings
  }

  private learn({ engine, id, name, version, key, record }: NamedFinding, number: number): void {
    this.count++
    this.engines.add(engine)
    const wanted = this.wanted.get(key) ?? newlyWanted(name, version)
    if (this.wanted.size >= MAX_PACKAGES) throw new BrokenEnvelope()
    wanted.engines |= 1 << FINDING_ENGINES.indexOf(engine)
    this.wanted.set(key, wanted)
    const rich = richness(record)
    const known = this.advisories.get(id)
    if (!known) this.advisories.set(id, { record: number, rich, index: -1 })
    else if (rich > known.rich) Object.assign(known, { record: number, rich })
  }

  /** Packages that no list has, numbered from `listed`. To be asked once the lists were read. */
  madePackages(listed: number): Wanted[] {
    const made = [...this.wanted.values()].filter(({ trivy, syft }) => trivy < 0 && syft < 0)
    for (const [at, one] of made.entries()) one.made = listed + at
    return made
  }

  /** The advisories' texts, in the slices of the list. */
  async *vulnerabilities(wanted?: (slice: number) => boolean): AsyncGenerator<ResultVulnerability[]> {
    for await (const { first, records } of this.list.read(wanted)) {
      yield records.flatMap((given, at) => {
        const finding = namedFinding(given, silent)
        return finding && this.advisories.get(finding.id)?.record === first + at ? [textOf(finding)] : []
      })
    }
  }

  /** The findings, in the slices of the list. */
  async *findings(wanted?: (slice: number) => boolean): AsyncGenerator<ResultFinding[]> {
    for await (const { records } of this.list.read(wanted)) {
      yield records.flatMap((given) => {
        const finding = namedFinding(given, silent)
        return finding ? [this.resultFinding(finding)] : []
      })
    }
  }

  private resultFinding({ engine, id, key, record }: NamedFinding): ResultFinding {
    const wanted = this.wanted.get(key)!
    return {
      engine,
      package: Math.max(wanted[listerOf(engine)], wanted.made),
      vulnerability: this.advisories.get(id)!.index,
      reportedId: id,
      severity: severityOf(record.severity),
      cvss: scoresOf(record.cvssScore),
      ...fixOf(record.fixedVersion),
    }
  }
}

const textOf = ({ id, record }: NamedFinding): ResultVulnerability => ({
  id,
  aliases: [],
  title: line(record.title, 1000, 'title', silent) || null,
  description: prose(record.description, 8000, 'description', silent),
  links: webLinks([record.vulnerabilityUrl], silent),
  cwes: [],
  publishedAt: null,
  modifiedAt: null,
})
