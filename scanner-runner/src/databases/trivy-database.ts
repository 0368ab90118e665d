import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { EngineDatabase } from '../../../src/scanning/sensors/protocol.ts'
import type { Failure } from '../engines/engine.ts'
import { judgeAge, toInstant } from './database-age.ts'
import { type DatabaseSource, describeSample, refuseMisplacedSample } from './database-source.ts'

const SCHEMA = 2

const Metadata = z.object({ Version: z.int(), UpdatedAt: z.string() })

/**
 * trivy's database from its `metadata.json`, judged by the runner: trivy itself exits 0 with one that is years old.
 * Samples are exempt from the age, and only from that.
 */
export async function readTrivyDatabase(
  source: DatabaseSource,
  nowMs: number,
): Promise<{ database: EngineDatabase | null; failure: Failure | null }> {
  const none = (detail: string) => ({
    database: null,
    failure: { code: 'database_unavailable', detail } as Failure,
  })
  const misplaced = await refuseMisplacedSample(source, source.trivyCacheDir)
  if (misplaced) return { database: null, failure: misplaced }
  const directory = join(source.trivyCacheDir, 'db')
  const text = await readFile(join(directory, 'metadata.json'), 'utf8').catch(() => null)
  const file = await stat(join(directory, 'trivy.db')).catch(() => null)
  if (text === null || !file?.isFile()) return none('There is none.')
  const metadata = parseMetadata(text)
  const builtAt = metadata && toInstant(metadata.UpdatedAt)
  if (!metadata || !builtAt) return none('Its metadata.json cannot be read.')
  if (metadata.Version !== SCHEMA) return none(`It has schema ${metadata.Version}, trivy needs ${SCHEMA}.`)
  const database = { builtAt, schema: String(metadata.Version), ...describeSample(source.samples?.trivy) }
  return { database, failure: source.samples ? null : judgeAge(builtAt, nowMs) }
}

function parseMetadata(text: string): z.infer<typeof Metadata> | null {
  try {
    return Metadata.parse(JSON.parse(text))
  } catch {
    return null
  }
}
