import { FINDING_ENGINES, FIX_STATES, SEVERITIES } from '../../scanning/sensors/result.ts'
import type { Said, Verdict } from './merge.ts'

/**
 * What `matches.said` holds: an array in the order of FINDING_ENGINES. Null stands for an engine that says nothing, a
 * number for one that says what the engine at that position says. Within a verdict the vector that the row shows
 * anyway is MERGED, severity and fix state are positions in their lists, and what follows are the fixed versions.
 */
type Stored = (StoredVerdict | number | null)[]

type StoredVerdict = [
  severity: number,
  cvss: number | null,
  vector: string | typeof MERGED | null,
  cvssSource: string | null,
  cvssVersion: Verdict['cvssVersion'],
  fixState: number,
  ...fixedVersions: string[],
]

const MERGED = 1

/** `vector` is the row's own, `cvss_vector`. One text for one meaning. */
export function saidText(said: Said, vector: string | null): string {
  const texts: string[] = []
  const stored: Stored = FINDING_ENGINES.map((engine, position) => {
    const verdict = said[engine]
    if (!verdict) return null
    const packed = pack(verdict, vector)
    const text = JSON.stringify(packed)
    const same = texts.indexOf(text)
    if (same !== -1) return same
    texts[position] = text
    return packed
  })
  while (stored.at(-1) === null) stored.pop()
  return JSON.stringify(stored)
}

/** What `saidText` wrote for a row with this vector. Rows that are older than this form hold the object itself. */
export function readSaid(text: string, vector: string | null): Said {
  const stored = JSON.parse(text) as Stored | Said
  if (!Array.isArray(stored)) return stored
  const said: Said = {}
  for (const [position, given] of stored.entries()) {
    const verdict = typeof given === 'number' ? stored[given] : given
    if (Array.isArray(verdict)) said[FINDING_ENGINES[position]!] = unpack(verdict, vector)
  }
  return said
}

const pack = (verdict: Verdict, merged: string | null): StoredVerdict => [
  SEVERITIES.indexOf(verdict.severity),
  verdict.cvss,
  verdict.vector !== null && verdict.vector === merged ? MERGED : verdict.vector,
  verdict.cvssSource,
  verdict.cvssVersion,
  FIX_STATES.indexOf(verdict.fixState),
  ...verdict.fixedVersions,
]

function unpack(stored: StoredVerdict, merged: string | null): Verdict {
  const [severity, cvss, vector, cvssSource, cvssVersion, fixState, ...fixedVersions] = stored
  return {
    severity: SEVERITIES[severity]!,
    cvss,
    vector: vector === MERGED ? merged : vector,
    cvssSource,
    cvssVersion,
    fixState: FIX_STATES[fixState]!,
    fixedVersions,
  }
}
