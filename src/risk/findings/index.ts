export type { Refusal, RefusalCode } from './accept.ts'
export { type AdvisoryText, readAdvisoryText } from './advisory-texts.ts'
export { ENGINE_BIT } from './engines.ts'
export { FINDING_LIST } from './finding-list.ts'
export { DanglingFinding } from './incoming.ts'
export {
  type IngestInput,
  type IngestOutcome,
  ingestResult,
  type Outcome,
  UnknownArtifact,
} from './ingest.ts'
export { linkedPackages } from './linked-packages.ts'
export { decodeLocations } from './locations.ts'
export {
  MATCH_FILTER_TEXTS,
  MATCH_FILTERS,
  MATCH_SORTS,
  type MatchFilters,
  type MatchSort,
  matchConditions,
} from './match-filters.ts'
export { MATCH_JOINS, type MatchRow, matchColumns } from './match-row.ts'
export { keptTotal } from './match-totals.ts'
export type { Said, Verdict } from './merge.ts'
export type { PackageIdentity } from './package-key.ts'
export { forgetLeftPages } from './pages.ts'
export { presentFinding, presentMatch } from './present-match.ts'
export { type FindingListRequest, type FindingPlace, type FindingRow, listFindings } from './read.ts'
export { recountArtifacts } from './recount.ts'
export { retireArtifacts } from './retire.ts'
export { Finding, Layer, ManifestDigest, PackagePath, Vulnerability } from './schemas.ts'
export { affectedCount, isShown } from './shown.ts'
export { TRIAGE_STATUSES, type TriageStatus } from './triage-status.ts'
export { FINDING_ENGINES_SQL, VISIBLE_SQL } from './visible.ts'
