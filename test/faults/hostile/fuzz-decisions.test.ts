import { expect, it } from 'vitest'
import { decide } from './decide.ts'
import { aCase } from './documents.ts'
import type { Terms } from './envelope.ts'
import { FORMATS } from './formats.ts'
import { SEED } from './options.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const TERMS: Terms = { wireId: '00-1-scn_1', fence: 1, digest: DIGEST, ref: 'registry.test/team/app:1.0' }
const KINDS = {
  true: ['accepted', 'elsewhere'],
  false: ['accepted', 'dangling', 'failed', 'invalid', 'refused'],
}

it.each(FORMATS.map((format) => [format.cases, format.name, format] as const))(
  `each of %i generated uploads (%s) of seed ${SEED} is refused, found invalid or taken: no layer without storage breaks`,
  async (_, name, format) => {
    const document = format.document(TERMS)
    expect((await decide(JSON.stringify(document), TERMS, format)).verdict).toBe('accepted')
    const tally: Record<string, number> = {}
    for (let number = 0; number < format.cases; number++) {
      const { text, title } = aCase(SEED, number, document)
      const { verdict } = await decide(text, TERMS, format).catch((cause: unknown) => {
        throw new Error(`seed ${SEED}, case ${number} (${title}): ${String(cause)}`, { cause })
      })
      tally[verdict] = (tally[verdict] ?? 0) + 1
    }
    console.log(`fuzz decisions, ${name}: ${format.cases} cases, ${JSON.stringify(tally)}`)
    expect(Object.keys(tally)).toEqual(expect.arrayContaining(KINDS[`${format.isPlain}`]))
  },
  20 * 60_000,
)
