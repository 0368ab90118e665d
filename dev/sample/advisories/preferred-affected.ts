import type { Advisory, AdvisorySource, Affected } from './advisory.ts'

/** Both engines' real databases take language advisories from GitHub where GitHub has them. */
const PREFERENCE: readonly AdvisorySource[] = [
  'ghsa',
  'pypa',
  'govulndb',
  'nodejs-wg',
  'debian',
  'alpine',
  'nvd',
]

/** The advisory's affected entries with one source for each package, so that no package is reported twice under one id. */
export function preferredAffected(advisory: Advisory): Affected[] {
  const best = new Map<string, AdvisorySource>()
  for (const entry of advisory.affected) {
    const key = keyOf(entry)
    const known = best.get(key)
    if (!known || PREFERENCE.indexOf(entry.source) < PREFERENCE.indexOf(known)) best.set(key, entry.source)
  }
  return advisory.affected.filter((entry) => best.get(keyOf(entry)) === entry.source)
}

const keyOf = (entry: Affected) => `${entry.ecosystem}/${entry.release ?? ''}/${entry.packageName}`
