import { join } from 'node:path'
import { z } from 'zod'
import type { DatabaseSource } from '../databases/database-source.ts'
import { readTrivyDatabase } from '../databases/trivy-database.ts'
import { checkPlatform, classifyBy, type EngineDriver, type Failure, versionMember } from './engine.ts'

const TIMEOUT_MS = 10 * 60_000

const Report = z.object({
  SchemaVersion: z.literal(2),
  Metadata: z.object({ ImageConfig: z.object({ os: z.string(), architecture: z.string() }) }),
})

// What trivy 0.76 prints when its database cannot be used
const FAILURES: readonly (readonly [RegExp, Failure['code']])[] = [
  [/cannot be specified on the first run|first run cannot skip downloading/i, 'database_unavailable'],
  [
    /old DB schema|version of DB schema doesn't match|invalid database|failed to open .*trivy\.db/i,
    'database_unavailable',
  ],
  // a crash inside the database library: its frames are in the trace
  [/go\.etcd\.io\/bbolt/, 'database_unavailable'],
  [/context deadline exceeded/i, 'engine_timeout'],
]

/** Everything that trivy would fetch or tell somebody is off; the memory cache neither locks nor poisons a later scan. */
export const TRIVY_QUIET = {
  TRIVY_CACHE_BACKEND: 'memory',
  TRIVY_DISABLE_TELEMETRY: 'true',
  TRIVY_SKIP_VERSION_CHECK: 'true',
  TRIVY_SKIP_VEX_REPO_UPDATE: 'true',
  TRIVY_NO_PROGRESS: 'true',
} as const

/** trivy on an OCI layout that holds one image: it ignores `--platform` there, so the report's own word is checked. */
export const trivy = (databases: DatabaseSource): EngineDriver => ({
  name: 'trivy',
  timeoutMs: TIMEOUT_MS,
  versionArgs: ['version', '--format', 'json'],
  readVersion: (stdout) => versionMember(stdout, 'Version'),
  prepare: () => readTrivyDatabase(databases, Date.now()),
  command: ({ layoutDir, outDir, timeoutMs }) => {
    const report = join(outDir, 'trivy.json')
    return {
      args: [
        ...['image', '--input', layoutDir, '--scanners', 'vuln', '--list-all-pkgs', '--format', 'json'],
        ...[
          '--output',
          report,
          '--config',
          '',
          '--ignorefile',
          '',
          '--timeout',
          `${Math.ceil(timeoutMs / 1000)}s`,
        ],
      ],
      env: {
        ...TRIVY_QUIET,
        TRIVY_CACHE_DIR: databases.trivyCacheDir,
        TRIVY_SKIP_DB_UPDATE: 'true',
        TRIVY_SKIP_JAVA_DB_UPDATE: 'true',
        TRIVY_OFFLINE_SCAN: 'true',
      },
      report,
      stdout: false,
      outputs: [report],
    }
  },
  check: (report, platform) => {
    const parsed = Report.safeParse(report)
    if (!parsed.success)
      return { code: 'engine_output_invalid', detail: 'It is not a trivy report of schema 2.' }
    const { os, architecture } = parsed.data.Metadata.ImageConfig
    return checkPlatform(os, architecture, platform)
  },
  classify: (stderr) => classifyBy(FAILURES, stderr),
})
