import { readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import type { EngineDatabase } from '../../../src/scanning/sensors/protocol.ts'
import type { Failure } from '../engines/engine.ts'

const SAMPLE_FILE = 'sample.json'

const Sample = z.object({
  source: z.literal('sample'),
  advisories: z.int().nonnegative(),
  builtAt: z.iso.datetime({ offset: true }),
  schema: z.coerce.string().nullish(),
})
export type Sample = z.infer<typeof Sample>
const Samples = z.object({ trivy: Sample.optional(), grype: Sample.optional() })
export type Samples = z.infer<typeof Samples>

/** Which databases the engines read. `samples` is set only by HG_SAMPLE_DATABASES. */
export interface DatabaseSource {
  trivyCacheDir: string
  grypeCacheDir: string
  samples: Samples | null
}

/** Reads `sample.json` of a directory of sample databases. Throws with a sentence when it is not one. */
export async function readSamples(directory: string): Promise<Samples> {
  const path = join(directory, SAMPLE_FILE)
  try {
    return Samples.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (cause) {
    throw new Error(`HG_SAMPLE_DATABASES: ${path} cannot be read or does not describe sample databases`, {
      cause,
    })
  }
}

/** What a result says about a database's origin. */
export const describeSample = (sample: Sample | undefined): Pick<EngineDatabase, 'source' | 'advisories'> =>
  sample ? { source: 'sample', advisories: sample.advisories } : { source: 'official' }

/** Sample databases that a cache directory happens to point at are never used as if they were official. */
export async function refuseMisplacedSample(
  source: DatabaseSource,
  cacheDir: string,
): Promise<Failure | null> {
  if (source.samples) return null
  const marks = [cacheDir, dirname(cacheDir)].map((directory) => stat(join(directory, SAMPLE_FILE)))
  const found = (await Promise.allSettled(marks)).some(({ status }) => status === 'fulfilled')
  if (!found) return null
  return { code: 'database_unavailable', detail: 'Sample databases are used only with HG_SAMPLE_DATABASES.' }
}
