import { expect, it } from 'vitest'
import { rowsOf } from '../../tables.ts'
import { expectApplied, packagesOf, shownBy } from './applied.ts'
import { type Decision, decide } from './decide.ts'
import { aCase } from './documents.ts'
import type { Terms } from './envelope.ts'
import { FORMATS, type Format } from './formats.ts'
import { aLeasedJob, aPlainJob, type ClaimedJob, type Ended } from './leased-job.ts'
import { EVERY, SEED } from './options.ts'

/** What a scan's own end may change. Everything else is what the organization knows of its images. */
const OF_THE_SCAN = ['jobs', 'scans', 'scan_totals', 'outbox', 'audit_log', 'scan_blobs']
/** How the whole way may end after what the layers without storage said. */
const ENDS: Record<Decision['verdict'], RegExp> = {
  refused: /^refused$/,
  elsewhere: /^(refused|stand-alone (COMPLETE|FAILED \w+)|FAILED \w+)$/,
  invalid: /^FAILED result_invalid$/,
  dangling: /^FAILED result_invalid$/,
  failed: /^FAILED \w+$/,
  accepted: /^COMPLETE$/,
}

interface Way {
  how: string
  ended: Ended | null
}

async function goTheWay(claimed: ClaimedJob, text: string): Promise<Way> {
  const { status, scanId, text: said } = await claimed.upload(text)
  if (scanId === null) {
    expect([400, 403, 409, 413, 415], said).toContain(status)
    return { how: 'refused', ended: null }
  }
  const ended = await claimed.ingest(scanId)
  const how = `${ended.status} ${ended.code ?? ''}`.trim()
  return { how: scanId === claimed.scanId ? how : `stand-alone ${how}`, ended }
}

const lookAt = async ({ world }: ClaimedJob) => ({
  rows: await rowsOf(world.organization, OF_THE_SCAN),
  shown: await shownBy(world),
  packages: await packagesOf(world),
})

/** Every case of the sample goes the whole way; what was not taken since the last look has changed nothing. */
async function goAll(claimed: ClaimedJob, format: Format, tally: Record<string, number>): Promise<void> {
  const { job, world } = claimed
  const digest = job.digest ?? `sha256:${'a'.repeat(64)}`
  const terms: Terms = { wireId: job.id, fence: job.lease.fence, digest, ref: `${world.host}/team/app:1.0` }
  await goTheWay(claimed, JSON.stringify(format.document(terms)))
  await claimed.again()
  let known = await lookAt(claimed)
  expect(Object.values([...known.shown.findings.values()][0]!).map(({ length }) => length > 0)).toEqual([
    true,
    true,
    false,
  ])
  for (let number = 0; number < format.cases; number += EVERY) {
    const { title, text } = aCase(SEED, number, format.document(terms))
    const hint = `seed ${SEED}, up to case ${number} (${title})`
    const { verdict, result } = await decide(text, terms, format)
    const mayChange = verdict === 'accepted' || verdict === 'elsewhere'
    if (mayChange) expect((await lookAt(claimed)).rows, hint).toEqual(known.rows)
    const { how, ended } = await goTheWay(claimed, text)
    expect(how, `${hint}: ${verdict}`).toMatch(ENDS[verdict])
    if (mayChange) {
      const now = await lookAt(claimed)
      if (result) {
        const said = await result(known.packages.get(ended!.artifact!) ?? [])
        expectApplied(said, ended!, known.shown, now.shown, hint)
      }
      expect(now.shown.counters.kept, hint).toEqual(now.shown.counters.counted)
      if (!how.endsWith('COMPLETE')) expect(now.shown, hint).toEqual(known.shown)
      known = now
    }
    tally[how] = (tally[how] ?? 0) + 1
    await claimed.again()
  }
  expect((await lookAt(claimed)).rows).toEqual(known.rows)
}

it.each(FORMATS.map((format) => [Math.ceil(format.cases / EVERY), format.name, format] as const))(
  `each of %i generated uploads (%s) of seed ${SEED} is refused, ends its scan FAILED and changes nothing, or is applied whole`,
  async (_, name, format) => {
    const tally: Record<string, number> = {}
    await goAll(format.isPlain ? await aPlainJob() : await aLeasedJob(), format, tally)
    console.log(`fuzz ingest, ${name}: ${Math.ceil(format.cases / EVERY)} cases, ${JSON.stringify(tally)}`)
    expect(Object.keys(tally)).toEqual(expect.arrayContaining(['refused', 'COMPLETE']))
  },
  60 * 60_000,
)
