import { textDigest } from '../../crypto/text-digest.ts'
import type { ReadList, ResultSource } from '../../scanning/results/index.ts'
import type { ResultFinding, ResultPackage, ResultVulnerability } from '../../scanning/sensors/result.ts'
import type { Acceptance } from './accept.ts'
import { ENGINE_BIT } from './engines.ts'
import { preferredScore, type Said, severityNumber, type Verdict } from './merge.ts'
import { contextJson, type PackageIdentity, packageIdentity } from './package-key.ts'

export interface IncomingPackage {
  identity: PackageIdentity
  context: string
  /** Identity as one text. */
  key: string
  /** The entries of the result that name this package version. */
  listed: ResultPackage[]
}

export interface IncomingFinding {
  /** Index into `Incoming.packages`. */
  package: number
  vulnerability: string
  said: Said
}

export interface IncomingVulnerability {
  text: ResultVulnerability
  /** Engines (bits) that this scan's text comes from. */
  engines: number
  /** Of the text. */
  digest: string
}

/** What of a result counts, each package version, finding and advisory once. */
export interface Incoming {
  packages: IncomingPackage[]
  findings: IncomingFinding[]
  vulnerabilities: IncomingVulnerability[]
}

/** Thrown when a finding points at a package or advisory that the result does not list. */
export class DanglingFinding extends Error {
  constructor() {
    super('a finding names a package or an advisory that the result does not list')
    this.name = 'DanglingFinding'
  }
}

/** Reduces a result that fits into memory to what its accepted engines say. Throws DanglingFinding. */
export async function incomingOf(result: ResultSource, acceptance: Acceptance): Promise<Incoming> {
  const { builds } = acceptance
  const vulnerabilities = await whole(result.vulnerabilities)
  const counted = (await whole(result.findings)).filter(({ engine }) => builds[engine] !== undefined)
  const named = new Set(counted.map((finding) => finding.package))
  const packages = new PackageSet()
  const indexOf = (await whole(result.packages)).map((listed, index) =>
    named.has(index) || isCounted(listed, acceptance) ? packages.add(listed) : -1,
  )
  const findings = new FindingSet()
  const engines = new Map<string, number>()
  for (const finding of counted) {
    const index = indexOf[finding.package]
    const id = vulnerabilities[finding.vulnerability]?.id
    if (index === undefined || index < 0 || id === undefined) throw new DanglingFinding()
    findings.add(finding, index, id)
    engines.set(id, (engines.get(id) ?? 0) | ENGINE_BIT[finding.engine])
  }
  return {
    packages: packages.all,
    findings: findings.all(),
    vulnerabilities: advisoriesOf(vulnerabilities, engines),
  }
}

async function whole<T>(read: ReadList<T>): Promise<T[]> {
  const list: T[] = []
  for await (const slice of read()) for (const element of slice) list.push(element)
  return list
}

/** Whether an accepted engine lists the package. */
export const isCounted = ({ listedBy }: ResultPackage, { accepted }: Acceptance): boolean =>
  listedBy.some((engine) => accepted.includes(engine))

/** Package versions, each once however often it is listed. */
export class PackageSet {
  readonly all: IncomingPackage[] = []
  private readonly byKey = new Map<string, number>()

  /** Returns the index in `all`. */
  add(listed: ResultPackage): number {
    const identity = packageIdentity(listed)
    const context = contextJson(identity)
    const key = JSON.stringify([identity.type, identity.name, identity.version, context])
    const known = this.byKey.get(key)
    if (known !== undefined) {
      this.all[known]!.listed.push(listed)
      return known
    }
    this.byKey.set(key, this.all.length)
    return this.all.push({ identity, context, key, listed: [listed] }) - 1
  }
}

/** Advisories that findings name: `engines` (bits) by id. Of several texts of one id the first counts. */
function advisoriesOf(
  texts: readonly ResultVulnerability[],
  engines: Map<string, number>,
): IncomingVulnerability[] {
  const left = new Map(engines)
  return texts.flatMap((text) => {
    const bits = left.get(text.id)
    if (bits === undefined || !left.delete(text.id)) return []
    return [incomingVulnerability(text, bits)]
  })
}

export function incomingVulnerability(text: ResultVulnerability, engines: number): IncomingVulnerability {
  const { aliases, title, description, links, cwes, publishedAt, modifiedAt } = text
  const json = JSON.stringify([aliases, title, description, links, cwes, publishedAt, modifiedAt])
  return { text, engines, digest: textDigest(json) }
}

/** Findings by package and advisory: what each engine says of one match. */
export class FindingSet {
  private readonly byPackage = new Map<number, Map<string, IncomingFinding>>()

  /** `index` counts over `Incoming.packages`. */
  add(finding: ResultFinding, index: number, vulnerability: string): void {
    const ofPackage = this.byPackage.get(index) ?? new Map<string, IncomingFinding>()
    const known = ofPackage.get(vulnerability) ?? { package: index, vulnerability, said: {} }
    this.byPackage.set(index, ofPackage.set(vulnerability, known))
    const before = known.said[finding.engine]
    const verdict = verdictOf(finding)
    known.said[finding.engine] = before ? joined(before, verdict) : verdict
  }

  all(): IncomingFinding[] {
    return [...this.byPackage.values()].flatMap((ofPackage) => [...ofPackage.values()])
  }
}

function verdictOf(finding: ResultFinding): Verdict {
  const score = preferredScore(finding.cvss)
  return {
    severity: finding.severity,
    cvss: score?.score ?? null,
    vector: score?.vector ?? null,
    cvssSource: score?.source ?? null,
    cvssVersion: score?.version ?? null,
    fixState: finding.fixState,
    fixedVersions: finding.fixedVersions,
  }
}

/** Two words of one engine about one match (a GHSA and the CVE it names): the more severe, with what the other adds. */
function joined(a: Verdict, b: Verdict): Verdict {
  const [first, second] = severityNumber(b.severity) > severityNumber(a.severity) ? [b, a] : [a, b]
  const scored = first.cvss === null ? second : first
  const fixed = first.fixedVersions.length === 0 ? second : first
  return {
    severity: first.severity,
    cvss: scored.cvss,
    vector: scored.vector,
    cvssSource: scored.cvssSource,
    cvssVersion: scored.cvssVersion,
    fixState: fixed.fixState,
    fixedVersions: fixed.fixedVersions,
  }
}
