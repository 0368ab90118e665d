import { textDigest } from '../../crypto/text-digest.ts'
import type {
  Result,
  ResultFinding,
  ResultPackage,
  ResultVulnerability,
} from '../../scanning/sensors/result.ts'
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

/** Reduces a result to what its accepted engines say. Throws DanglingFinding. */
export function incomingOf(result: Result, { accepted, builds }: Acceptance): Incoming {
  const counted = result.findings.filter((finding) => builds[finding.engine] !== undefined)
  const named = new Set(counted.map((finding) => finding.package))
  const packages: IncomingPackage[] = []
  const byKey = new Map<string, number>()
  const indexOf = result.packages.map((listed, index) => {
    if (!named.has(index) && !listed.listedBy.some((engine) => accepted.includes(engine))) return -1
    const identity = packageIdentity(listed)
    const context = contextJson(identity)
    const key = JSON.stringify([identity.type, identity.name, identity.version, context])
    const known = byKey.get(key)
    if (known !== undefined) {
      packages[known]!.listed.push(listed)
      return known
    }
    byKey.set(key, packages.length)
    return packages.push({ identity, context, key, listed: [listed] }) - 1
  })
  const { findings, texts } = collect(result, counted, indexOf)
  return { packages, findings, vulnerabilities: texts }
}

function collect(result: Result, counted: ResultFinding[], indexOf: number[]) {
  const findings = new Map<string, IncomingFinding>()
  const texts = new Map<string, IncomingVulnerability>()
  for (const finding of counted) {
    const index = indexOf[finding.package]
    const text = result.vulnerabilities[finding.vulnerability]
    if (index === undefined || index < 0 || text === undefined) throw new DanglingFinding()
    const key = `${index} ${text.id}`
    const known = findings.get(key) ?? { package: index, vulnerability: text.id, said: {} }
    const before = known.said[finding.engine]
    const verdict = verdictOf(finding)
    known.said[finding.engine] = before ? joined(before, verdict) : verdict
    findings.set(key, known)
    const advisory = texts.get(text.id) ?? { text, engines: 0 }
    advisory.engines |= ENGINE_BIT[finding.engine]
    texts.set(text.id, advisory)
  }
  return { findings: [...findings.values()], texts: [...texts.values()] }
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

/** Digests of a result's advisory texts, by id. */
export async function advisoryDigests({ vulnerabilities }: Result): Promise<Map<string, string>> {
  const digests = vulnerabilities.map(async ({ id, ...text }): Promise<[string, string]> => {
    const { aliases, title, description, links, cwes, publishedAt, modifiedAt } = text
    return [
      id,
      await textDigest(JSON.stringify([aliases, title, description, links, cwes, publishedAt, modifiedAt])),
    ]
  })
  return new Map(await Promise.all(digests))
}
