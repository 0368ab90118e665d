import { z } from 'zod'

/**
 * The result envelope 1.1: what a runner reports about one scan. One document holds every engine's words,
 * already normalised: packages once, advisories once, findings as references into both.
 * Unknown members are ignored, so that a newer runner can talk to an older server.
 */

export const ENGINES = ['trivy', 'grype', 'syft', 'dockle', 'osv', 'dive'] as const
export const EngineName = z.enum(ENGINES)
export type EngineName = z.infer<typeof EngineName>

/** Engines whose verdicts become findings. syft only lists packages. */
export const FINDING_ENGINES = ['trivy', 'grype', 'osv'] as const
export const FindingEngine = z.enum(FINDING_ENGINES)
export type FindingEngine = z.infer<typeof FindingEngine>

export const SEVERITIES = ['UNKNOWN', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL'] as const
export const Severity = z.enum(SEVERITIES)
export type Severity = z.infer<typeof Severity>

export const FIX_STATES = ['fixed', 'not-fixed', 'wont-fix', 'unknown'] as const
export const FixState = z.enum(FIX_STATES)
export type FixState = z.infer<typeof FixState>

export const Digest = z.string().regex(/^sha256:[0-9a-f]{64}$/)
export const Sha256Hex = z.string().regex(/^[0-9a-f]{64}$/)

/** Half a surrogate pair and NUL become U+FFFD: texts that a database holds as one are one before they are compared. */
export const storable = (given: string) => given.toWellFormed().replaceAll('\0', '\ufffd')

const text = (max: number) => z.string().max(max).overwrite(storable)
const instant = z.iso.datetime({ offset: true })

/** Why something failed: a stable code of `src/scanning/reasons.ts` and a sentence for people. */
export const Reason = z.object({ code: text(64), message: text(1000) })
export type Reason = z.infer<typeof Reason>

export const EngineDatabase = z.object({
  builtAt: instant.describe('When the vulnerability database was built'),
  schema: text(32).nullable(),
  source: z.enum(['official', 'sample']),
  advisories: z.int().nonnegative().optional().describe('Number of advisories; for samples'),
})
export type EngineDatabase = z.infer<typeof EngineDatabase>

export const EngineRun = z.object({
  name: EngineName,
  version: text(128).nullable(),
  sha256: Sha256Hex.nullable().describe('Of the executable that ran'),
  status: z.enum(['succeeded', 'failed', 'unavailable', 'skipped']),
  durationMs: z.int().nonnegative().nullable(),
  reason: Reason.nullable(),
  database: EngineDatabase.nullable().describe('null for engines without one'),
  raw: z.object({ sha256: Sha256Hex, size: z.int().nonnegative() }).nullable(),
})
export type EngineRun = z.infer<typeof EngineRun>

export const SbomFormat = z.enum(['cyclonedx', 'spdx'])
export type SbomFormat = z.infer<typeof SbomFormat>

/** Where a package lies in the image: an absolute path, and the diff id of the layer that brought it. */
export const PackageLocation = z.object({ path: text(4096), layer: Digest.nullable() })

/**
 * A package version in its context. The first eight members are its identity: decoded purl parts, and for
 * OS packages the distribution with release ("debian-12"), the source package and the module label;
 * `owner` is the OS package that owns a language package ("python3-yaml").
 */
export const ResultPackage = z.object({
  type: text(64).describe('purl type: deb, apk, rpm, npm, pypi, golang, maven, …'),
  namespace: text(512).nullable(),
  name: text(512).min(1),
  version: text(512),
  distro: text(128).nullable(),
  source: z.object({ name: text(512), version: text(512) }).nullable(),
  module: text(256).nullable(),
  owner: text(512).nullable(),
  licenses: z.array(text(256)).max(50),
  listedBy: z.array(EngineName).min(1),
  locations: z.array(PackageLocation).max(1000),
})
export type ResultPackage = z.infer<typeof ResultPackage>

/** An advisory's text. `id` is the CVE that its aliases name, else the engine's own id. */
export const ResultVulnerability = z.object({
  id: text(128).min(1),
  aliases: z.array(text(128)).max(100),
  title: text(1000).nullable(),
  description: text(8000).nullable(),
  links: z.array(text(2048)).max(50),
  cwes: z.array(text(32)).max(50),
  publishedAt: instant.nullable(),
  modifiedAt: instant.nullable(),
})
export type ResultVulnerability = z.infer<typeof ResultVulnerability>

/** A CVSS score as an engine gives it. `source`: nvd, ghsa, or the distribution's id (debian, redhat, …). */
export const CvssScore = z.object({
  source: text(64),
  version: z.enum(['2.0', '3.0', '3.1', '4.0']),
  vector: text(512),
  score: z.number().min(0).max(10),
})
export type CvssScore = z.infer<typeof CvssScore>

/** One engine's verdict on one package. `package` and `vulnerability` are indexes into the lists beside. */
export const ResultFinding = z.object({
  engine: FindingEngine,
  package: z.int().nonnegative(),
  vulnerability: z.int().nonnegative(),
  reportedId: text(128),
  severity: Severity,
  cvss: z.array(CvssScore).max(20),
  fixState: FixState,
  fixedVersions: z.array(text(512)).max(50).describe("In the engine's order"),
})
export type ResultFinding = z.infer<typeof ResultFinding>

export const ResultImage = z.object({
  ref: text(1024),
  indexDigest: Digest.nullable(),
  digest: Digest.describe('Of the manifest that was scanned'),
  platform: text(64).describe('os/arch or os/arch/variant'),
  configDigest: Digest.nullable(),
  sizeBytes: z.int().nonnegative().nullable().describe('Sum of the compressed layers'),
  os: z.object({ family: text(64), name: text(128), endOfLife: z.boolean() }).nullable(),
  layers: z
    .array(
      z.object({
        digest: Digest,
        diffId: Digest.nullable(),
        sizeBytes: z.int().nonnegative(),
        command: text(4096).nullable(),
      }),
    )
    .max(500),
})

export const SensorSelf = z.object({
  name: text(256).nullish(),
  version: text(64),
  scannerVersions: z.record(text(64), text(512)).default({}),
})

export const Result = z.object({
  version: z.literal('1.1'),
  fence: z.int().positive(),
  sensor: SensorSelf,
  image: ResultImage.nullable().describe('null when the image could not be pulled'),
  scan: z.object({
    id: text(200).describe('The job id'),
    startedAt: instant,
    finishedAt: instant,
    status: z.enum(['SUCCESS', 'PARTIAL', 'FAILED']),
    reason: Reason.nullable().describe('Why the scan as a whole failed'),
  }),
  engines: z.array(EngineRun).min(1).max(16),
  sboms: z
    .array(
      z.object({ format: SbomFormat, sha256: Sha256Hex, size: z.int().nonnegative(), mediaType: text(128) }),
    )
    .max(4),
  packages: z.array(ResultPackage),
  vulnerabilities: z.array(ResultVulnerability),
  findings: z.array(ResultFinding),
  logs: z.array(text(1000)).max(200),
})
export type Result = z.infer<typeof Result>
