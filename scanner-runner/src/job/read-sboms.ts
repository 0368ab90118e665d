import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SbomFormat } from '../../../src/scanning/sensors/protocol.ts'
import type { Blob } from '../client/client.ts'
import { SBOMS } from '../engines/syft.ts'
import { asBlob } from './run-engine.ts'

export interface Sbom {
  format: SbomFormat
  blob: Blob
}

/** syft's SBOMs, byte for byte. One that names a path of the runner is not handed out; rejects when one is missing. */
export async function readSboms(outDir: string, jobDir: string): Promise<Sbom[]> {
  const sboms: Sbom[] = []
  for (const { format, file, mediaType } of SBOMS) {
    const bytes = await readFile(join(outDir, file))
    if (!bytes.includes(jobDir)) sboms.push({ format, blob: asBlob(bytes, mediaType) })
  }
  return sboms
}
