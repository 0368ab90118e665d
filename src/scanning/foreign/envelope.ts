import { z } from 'zod'

/**
 * The result envelope 1.0 of the public sensor, as far as it is read. Whoever wrote it, nothing but `version` has to
 * be there: what is absent or of another type is not known, unknown members are ignored.
 */
const text = z.string().nullish().catch(null)
const list = z.array(z.unknown()).nullish().catch(null)

export const ForeignVulnerability = z.object({
  cveId: text,
  source: text,
  severity: text,
  cvssScore: z.number().nullish().catch(null),
  title: text,
  description: text,
  packageName: text,
  installedVersion: text,
  fixedVersion: text,
  vulnerabilityUrl: text,
})
export type ForeignVulnerability = z.infer<typeof ForeignVulnerability>

export const ForeignPackage = z.object({
  name: text,
  version: text,
  type: text,
  source: text,
  license: text,
  purl: text,
})
export type ForeignPackage = z.infer<typeof ForeignPackage>

export const ForeignNote = z.object({
  ruleId: text,
  ruleName: text,
  findingType: text,
  title: text,
  severity: text,
  source: text,
  message: text,
  details: text,
})

export const SCAN_STATES = ['SUCCESS', 'PARTIAL', 'FAILED', 'CANCELLED'] as const

/** All but the two long lists. */
export const ForeignHead = z.object({
  version: z.literal('1.0'),
  sensor: z
    .object({ version: text, scannerVersions: z.record(z.string(), z.unknown()).nullish().catch(null) })
    .nullish()
    .catch(null),
  image: z.object({ ref: text, digest: text, platform: text }).nullish().catch(null),
  scan: z
    .object({ id: text, status: z.enum(SCAN_STATES).nullish().catch(null) })
    .nullish()
    .catch(null),
  findings: z.object({ compliance: list, efficiency: list }).nullish().catch(null),
  logs: list,
})
export type ForeignHead = z.infer<typeof ForeignHead>

/** Some records of a list as they stand there, and the number of the first. */
export interface Records {
  first: number
  records: readonly unknown[]
}

/** A long list of an envelope, in the same slices at every reading; `wanted` passes over the others, by number. */
export interface RecordList {
  slices: number
  read(wanted?: (slice: number) => boolean): AsyncIterable<Records>
}

export interface ForeignLists {
  packages: RecordList
  vulnerabilities: RecordList
  /** Of the whole document. */
  bytes: number
}
