import type { ResultFinding, ResultPackage, ResultVulnerability } from '../sensors/result.ts'
import { collectAliases } from './aliases.ts'
import { Catalogue, type Entry } from './catalogue.ts'
import { resultPackages } from './packages.ts'
import type { NamedFinding, NamedPackage } from './report.ts'
import type { Notes } from './text.ts'
import { resultVerdicts, type Verdict } from './verdicts.ts'

/** What the engines name: packages that trivy and syft list, findings of trivy and grype. */
export interface Named {
  trivyPackages: NamedPackage[]
  syftPackages: NamedPackage[]
  syftById: Map<string, NamedPackage>
  findings: NamedFinding[]
}

export interface Joined {
  packages: ResultPackage[]
  vulnerabilities: ResultVulnerability[]
  findings: ResultFinding[]
}

/** The entry of each finding: the listed package itself, the syft artifact that grype names, else by `place`. */
function placeFindings(named: Named, catalogue: Catalogue): Map<NamedFinding, Entry> {
  const listed = catalogue.listAll(named.syftPackages)
  for (const [pkg, entry] of catalogue.listAll(named.trivyPackages)) listed.set(pkg, entry)
  const entryOf = new Map<NamedFinding, Entry>()
  const strays: NamedFinding[] = []
  for (const finding of named.findings) {
    if (!finding.reportedId) continue
    const artifact = named.syftById.get(finding.artifactId ?? '')
    const same = artifact?.name === finding.package.name && artifact.version === finding.package.version
    const entry = listed.get(same && artifact ? artifact : finding.package)
    if (entry) entryOf.set(finding, entry)
    else strays.push(finding)
  }
  const placed = catalogue.placeAll(strays.map((finding) => finding.package))
  for (const finding of strays) entryOf.set(finding, placed.get(finding.package) as Entry)
  return entryOf
}

/** Unites what the engines name into packages, vulnerabilities and findings that refer to both. Linear but for sorting. */
export function join(named: Named, notes: Notes): Joined {
  const catalogue = new Catalogue()
  const unnamed = named.findings.filter((finding) => !finding.reportedId).length
  if (unnamed > 0) notes.count('findings without an id left out', unnamed)
  const entryOf = placeFindings(named, catalogue)
  const { packages, indexOf } = resultPackages(catalogue.entries(), notes)
  const aliases = collectAliases(named.findings)
  const verdicts: Verdict[] = []
  for (const [finding, entry] of entryOf)
    for (const id of aliases.targetsOf(finding))
      verdicts.push({ finding, package: indexOf.get(entry) as number, id })
  return { packages, ...resultVerdicts(verdicts, aliases, notes) }
}
