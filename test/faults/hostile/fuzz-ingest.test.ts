import { expect, it } from 'vitest'
import { rowsOf } from '../../tables.ts'
import { expectApplied, shownBy } from './applied.ts'
import { decide } from './decide.ts'
import { aCase } from './documents.ts'
import { fullEnvelope } from './envelope.ts'
import { aLeasedJob } from './leased-job.ts'
import { CASES, EVERY, SEED } from './options.ts'

/** What a scan's own end may change. Everything else is what the organization knows of its images. */
const OF_THE_SCAN = ['jobs', 'scans', 'scan_totals', 'outbox', 'audit_log', 'scan_blobs']
const REFUSALS: Record<number, string> = { 400: 'refused', 409: 'refused', 413: 'refused' }

it(
  'a generated upload is refused, ends its scan FAILED and changes nothing, or is applied whole',
  async () => {
    const leased = await aLeasedJob()
    const { world, job } = leased
    const terms = { wireId: job.id, fence: job.lease.fence, digest: job.digest! }
    const tally: Record<string, number> = {}
    await leased.upload(JSON.stringify(fullEnvelope(terms)))
    expect((await leased.ingest()).status).toBe('COMPLETE')
    await leased.again()
    const look = async () => ({
      rows: await rowsOf(world.organization, OF_THE_SCAN),
      shown: await shownBy(world),
    })
    let known = await look()
    expect(Object.values(known.shown.findings).map(({ length }) => length)).toEqual([2, 2, 0])
    for (let number = 0; number < CASES; number += EVERY) {
      const { title, text } = aCase(SEED, number, fullEnvelope(terms))
      const hint = `seed ${SEED}, up to case ${number} (${title})`
      const isTaken = (await decide(text, terms)) === 'accepted'
      // all that was not taken since the last look has changed nothing
      if (isTaken) expect((await look()).rows, hint).toEqual(known.rows)
      const answer = await leased.upload(text)
      const ended = answer.status === 200 ? await leased.ingest() : null
      const how = ended ? `${ended.status} ${ended.code ?? ''}`.trim() : REFUSALS[answer.status]
      expect(how, `${hint}: ${answer.text}`).toMatch(isTaken ? /^COMPLETE$/ : /^(refused|FAILED \w+)$/)
      if (isTaken) {
        const now = await look()
        expectApplied(text, ended!, known.shown, now.shown, hint)
        known = now
      }
      tally[how!] = (tally[how!] ?? 0) + 1
      await leased.again()
    }
    expect((await look()).rows).toEqual(known.rows)
    console.log(`fuzz ingest, envelope 1.1: ${JSON.stringify(tally)}`)
    expect(Object.keys(tally)).toEqual(
      expect.arrayContaining(['refused', 'COMPLETE', 'FAILED result_invalid']),
    )
  },
  30 * 60_000,
)
