import { join } from 'node:path'
import { z } from 'zod'
import type { EngineDatabase } from '../../../src/scanning/sensors/protocol.ts'
import { MAX_DATABASE_AGE_HOURS, toInstant } from '../databases/database-age.ts'
import { type DatabaseSource, describeSample, refuseMisplacedSample } from '../databases/database-source.ts'
import { checkPlatform, classifyBy, type EngineDriver, type Failure, versionMember } from './engine.ts'

const TIMEOUT_MS = 5 * 60_000

const Report = z.object({
  matches: z.array(z.unknown()),
  source: z.object({ target: z.object({ os: z.string(), architecture: z.string() }) }),
})
const Status = z.object({
  descriptor: z.object({
    db: z.object({ status: z.object({ built: z.string(), schemaVersion: z.string().nullish() }) }),
  }),
})

// What grype 0.110 prints when its database cannot be used
const FAILURES: readonly (readonly [RegExp, Failure['code']])[] = [
  [/max allowed age is/i, 'database_too_old'],
  [
    /database does not exist|bad db checksum|no import metadata file|file is not a database|not a v6 database|unable to (?:load|open|read) .*(?:db|database)|failed to load vulnerability db/i,
    'database_unavailable',
  ],
]

/** grype on syft's JSON where there is one (the same matches in a tenth of the time), else on the OCI layout. */
export const grype = (databases: DatabaseSource): EngineDriver => ({
  name: 'grype',
  timeoutMs: TIMEOUT_MS,
  versionArgs: ['version', '--output', 'json'],
  readVersion: (stdout) => versionMember(stdout, 'version'),
  prepare: async () => ({
    database: null,
    failure: await refuseMisplacedSample(databases, databases.grypeCacheDir),
  }),
  command: ({ layoutDir, syftJson, outDir }) => {
    const report = join(outDir, 'grype.json')
    return {
      args: [syftJson === null ? `oci-dir:${layoutDir}` : `sbom:${syftJson}`, '--output', 'json'],
      env: {
        GRYPE_DB_CACHE_DIR: databases.grypeCacheDir,
        GRYPE_DB_AUTO_UPDATE: 'false',
        // samples are as old as their facts; every other database is held to the same age as trivy's
        GRYPE_DB_VALIDATE_AGE: databases.samples ? 'false' : 'true',
        GRYPE_DB_MAX_ALLOWED_BUILT_AGE: `${MAX_DATABASE_AGE_HOURS}h`,
        GRYPE_CHECK_FOR_APP_UPDATE: 'false',
      },
      report,
      stdout: true,
      outputs: [report],
    }
  },
  check: (report, platform) => {
    const parsed = Report.safeParse(report)
    if (!parsed.success) return { code: 'engine_output_invalid', detail: 'It is not a grype report.' }
    const { os, architecture } = parsed.data.source.target
    return checkPlatform(os, architecture, platform)
  },
  databaseOf: (report) => databaseOf(report, databases),
  classify: (stderr) => classifyBy(FAILURES, stderr),
})

function databaseOf(report: unknown, databases: DatabaseSource): EngineDatabase | null {
  const parsed = Status.safeParse(report)
  if (!parsed.success) return null
  const { built, schemaVersion } = parsed.data.descriptor.db.status
  const builtAt = toInstant(built)
  if (builtAt === null) return null
  return { builtAt, schema: schemaVersion?.slice(0, 32) ?? null, ...describeSample(databases.samples?.grype) }
}
