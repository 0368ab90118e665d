import { expect, it } from 'vitest'
import { decide } from './decide.ts'
import { aCase } from './documents.ts'
import { fullEnvelope, type Terms } from './envelope.ts'
import { CASES, SEED } from './options.ts'

const TERMS: Terms = { wireId: '00-1-scn_1', fence: 1, digest: `sha256:${'a'.repeat(64)}` }

it(
  'every generated upload is refused, found invalid or taken: no layer without storage breaks',
  async () => {
    const envelope = fullEnvelope(TERMS)
    expect(await decide(JSON.stringify(envelope), TERMS)).toBe('accepted')
    const tally: Record<string, number> = {}
    for (let number = 0; number < CASES; number++) {
      const { text, title } = aCase(SEED, number, envelope)
      const verdict = await decide(text, TERMS).catch((cause: unknown) => {
        throw new Error(`seed ${SEED}, case ${number} (${title}): ${String(cause)}`, { cause })
      })
      tally[verdict] = (tally[verdict] ?? 0) + 1
    }
    console.log(`fuzz decisions, envelope 1.1: ${JSON.stringify(tally)}`)
    const kinds = ['accepted', 'dangling', 'failed', 'invalid', 'mismatch', 'refused']
    expect(Object.keys(tally).sort()).toEqual(kinds)
  },
  10 * 60_000,
)
