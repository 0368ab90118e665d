export type { Refusal, RefusalCode } from './accept.ts'
export { gradeOf, riskOf } from './grade.ts'
export { DanglingFinding } from './incoming.ts'
export {
  type IngestInput,
  type IngestOutcome,
  ingestResult,
  type Outcome,
  UnknownArtifact,
} from './ingest.ts'
export { mergeVerdicts, type Said, type Verdict } from './merge.ts'
export { identityOf, type PackageIdentity, renderPurl } from './package-key.ts'
export { recountArtifacts } from './recount.ts'
export { recountStatement, rollUpStatement } from './recount-statements.ts'
export { retireArtifact, retireArtifacts } from './retire.ts'
export { FINDING_ENGINES_SQL, VISIBLE_SQL } from './visible.ts'
