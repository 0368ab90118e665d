import { z } from 'zod'
import { type Normalised, normaliseValid } from '../normalise/index.ts'
import { reason } from '../reasons.ts'
import { resultInMemory } from '../results/index.ts'
import { ENGINES, type EngineDatabase, type EngineName, type EngineRun } from '../sensors/result.ts'
import { UnlistedPackages } from './adopt-packages.ts'
import type { ConvertedResult } from './convert.ts'
import { SCAN_STATES } from './envelope.ts'
import { bareDigest, platformOf } from './found-image.ts'

const text = z.string().nullish().catch(null)
const report = z.record(z.string(), z.unknown()).nullish().catch(null)

/** The body that was uploaded before envelopes: the engines' reports as they printed them. */
const LegacyBody = z.object({
  requestId: text,
  image: z.object({ digest: text, platform: text }).nullish().catch(null),
  scan: z
    .object({ status: z.enum(SCAN_STATES).nullish().catch(null) })
    .nullish()
    .catch(null),
  reports: z.object({ trivy: report, grype: report, syft: report, dockle: report, metadata: report }),
})
type Reports = z.infer<typeof LegacyBody>['reports']

const REPORTED = ['trivy', 'grype', 'syft', 'dockle'] as const

/**
 * A legacy body as a result: its reports are normalised as the runner normalises them, so that the same reports give
 * the same findings. An engine counts as succeeded where its report is there and is one. Null where it is none.
 */
export function convertLegacy(
  given: unknown,
  asked: readonly string[],
  bytes: number,
): ConvertedResult | null {
  const { data: body } = LegacyBody.safeParse(given)
  if (!body) return null
  const hasFailed = body.scan?.status === 'FAILED' || body.scan?.status === 'CANCELLED'
  const { trivy = null, grype = null, syft = null } = hasFailed ? {} : body.reports
  const { normalised, invalid } = normaliseValid({ trivy, grype, syft })
  const expected = asked.length > 0 ? asked : REPORTED.filter((name) => body.reports[name])
  const engines = ENGINES.filter((name) => expected.includes(name)).map((name) =>
    hasFailed ? failed(name) : runOf(name, body.reports, invalid.get(name)),
  )
  return {
    id: body.requestId ?? '',
    unlisted: new UnlistedPackages([]),
    image: {
      digest: bareDigest(body.image?.digest),
      indexDigest: null,
      platform: platformOf(body.image?.platform),
    },
    source: resultInMemory({ ...headOf(body.requestId ?? '', engines), ...listsOf(normalised) }, bytes),
  }
}

const listsOf = ({ packages, vulnerabilities, findings, logs }: Normalised) => ({
  packages,
  vulnerabilities,
  findings,
  logs: logs.slice(0, 200),
})

function headOf(id: string, engines: EngineRun[]) {
  const succeeded = engines.filter(({ status }) => status === 'succeeded').length
  const status = succeeded === 0 ? 'FAILED' : succeeded === engines.length ? 'SUCCESS' : 'PARTIAL'
  const never = new Date(0).toISOString()
  return {
    version: '1.1' as const,
    fence: 1,
    sensor: { name: null, version: '', scannerVersions: {} },
    image: null,
    scan: { id: id.slice(0, 200), startedAt: never, finishedAt: never, status, reason: null } as const,
    engines,
    sboms: [],
  }
}

const failed = (name: EngineName): EngineRun => ({
  name,
  version: null,
  sha256: null,
  status: 'failed',
  durationMs: null,
  reason: reason('engine_failed', 'Its report is not there.'),
  database: null,
  raw: null,
})

function runOf(name: EngineName, reports: Reports, invalid: string | undefined): EngineRun {
  const said = name === 'osv' || name === 'dive' ? null : reports[name]
  if (invalid !== undefined) return { ...failed(name), reason: reason('engine_output_invalid', invalid) }
  if (!said) return failed(name)
  return {
    ...failed(name),
    version: versionOf(at(said, 'Trivy', 'Version') ?? at(said, 'descriptor', 'version')),
    status: 'succeeded',
    reason: null,
    database: databaseOf(name, reports),
  }
}

/** The member at the end of a path; undefined where there is none. */
function at(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === 'object' && inner !== null && Object.hasOwn(inner, key)
        ? Reflect.get(inner, key)
        : undefined,
    value,
  )
}

const versionOf = (said: unknown): string | null =>
  typeof said === 'string' && said.trim()
    ? said.trim().slice(0, 128).toWellFormed().replaceAll('\0', '')
    : null

/**
 * Which database an engine read, where the reports say so: grype's own does; of trivy's, `reports.metadata` may hold
 * what `trivy version` prints, beside the others or by itself.
 */
function databaseOf(name: EngineName, { grype, metadata }: Reports): EngineDatabase | null {
  if (name === 'grype') {
    const db = at(grype, 'descriptor', 'db')
    return database(at(db, 'status', 'built') ?? at(db, 'built'), at(db, 'status', 'schemaVersion'))
  }
  if (name !== 'trivy') return null
  const db = at(metadata, 'VulnerabilityDB') ?? at(metadata, 'trivy', 'VulnerabilityDB')
  return database(at(db, 'UpdatedAt'), at(db, 'Version'))
}

function database(built: unknown, schema: unknown): EngineDatabase | null {
  const time = typeof built === 'string' ? Date.parse(built) : Number.NaN
  if (!(time > 0)) return null
  const shown = typeof schema === 'string' || typeof schema === 'number' ? String(schema) : null
  return { builtAt: new Date(time).toISOString(), schema: shown?.slice(0, 32) ?? null, source: 'official' }
}
