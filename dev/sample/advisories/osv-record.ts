import * as z from 'zod'
import type { Ecosystem } from './advisory.ts'

const event = z
  .object({ introduced: z.string(), fixed: z.string(), last_affected: z.string() })
  .partial()
  .strict()
  .refine((value) => Object.keys(value).length === 1, 'one bound for each event')

const affected = z.object({
  package: z.object({ ecosystem: z.string(), name: z.string().min(1) }),
  ranges: z.array(z.object({ type: z.enum(['ECOSYSTEM', 'SEMVER']), events: z.array(event) })).default([]),
  versions: z.array(z.string()).default([]),
})

const knownExploited = z.object({
  vendor: z.string(),
  product: z.string(),
  added: z.iso.date(),
  due: z.iso.date(),
  action: z.string(),
  ransomware: z.string(),
  cwes: z.array(z.string()),
})

/** The part of OSV 1.6 that the snapshot's files use. */
export const osvRecord = z.object({
  id: z.string().min(1),
  aliases: z.array(z.string()).default([]),
  published: z.string().optional(),
  modified: z.string().optional(),
  severity: z
    .array(z.object({ type: z.enum(['CVSS_V2', 'CVSS_V3', 'CVSS_V4']), score: z.string() }))
    .default([]),
  affected: z.array(affected),
  database_specific: z
    .object({
      severity: z.enum([
        'LOW',
        'MODERATE',
        'HIGH',
        'CRITICAL',
        'Negligible',
        'Low',
        'Medium',
        'High',
        'Critical',
      ]),
      cwe_ids: z.array(z.string()),
      kev: knownExploited,
    })
    .partial()
    .default({}),
})

export type OsvRecord = z.infer<typeof osvRecord>
export type OsvEvent = z.infer<typeof event>

const ECOSYSTEMS: Record<string, { ecosystem: Ecosystem; release: string | null }> = {
  npm: { ecosystem: 'npm', release: null },
  PyPI: { ecosystem: 'pypi', release: null },
  Go: { ecosystem: 'go', release: null },
  Maven: { ecosystem: 'maven', release: null },
  'Debian:12': { ecosystem: 'debian', release: '12' },
  'Alpine:v3.19': { ecosystem: 'alpine', release: '3.19' },
}

/** The ecosystem that the sample databases cover under OSV's name for it, or null for one they leave out. */
export function ecosystemOf(osvName: string): { ecosystem: Ecosystem; release: string | null } | null {
  return ECOSYSTEMS[osvName] ?? null
}
