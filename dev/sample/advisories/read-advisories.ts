import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Advisory, AdvisorySource } from './advisory.ts'
import { joinRecords, type SourcedRecord } from './join-records.ts'
import { osvRecord } from './osv-record.ts'

/** The snapshot's files; the first source that affects a package is the one whose ranges count (see `preferredAffected`). */
const FILES: readonly (readonly [AdvisorySource, string])[] = [
  ['ghsa', 'ghsa.ndjson'],
  ['pypa', 'pypa.ndjson'],
  ['govulndb', 'govulndb.ndjson'],
  ['nodejs-wg', 'nodejs-wg.ndjson'],
  ['debian', 'debian-12.ndjson'],
  ['alpine', 'alpine-3.19.ndjson'],
  ['nvd', 'nvd.ndjson'],
]

/** Every advisory of the snapshot, joined and sorted by id. Throws, naming file and line, on a record that is not in shape. */
export function readAdvisories(directory: string = import.meta.dirname): Advisory[] {
  return joinRecords(FILES.flatMap(([source, file]) => readRecords(source, join(directory, file))))
}

function readRecords(source: AdvisorySource, path: string): SourcedRecord[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line, index) => {
      if (line === '') return []
      const parsed = osvRecord.safeParse(JSON.parse(line))
      if (!parsed.success) throw new Error(`${path}:${index + 1}: ${parsed.error.message}`)
      return [{ source, record: parsed.data }]
    })
}
