import { describe, expect, it } from 'vitest'
import { statement } from '../../../src/db/database.ts'
import { ingestResult } from '../../../src/risk/findings/ingest.ts'
import { aContext, anArtifact } from '../context.ts'
import { aResult, BUILT, DAY } from '../results.ts'

let organizations = 20_000
const anOrganization = () => aContext(organizations++)

describe('ingestResult', () => {
  it('stores a first scan with its counters, grade, risk and image', async () => {
    const ctx = anOrganization()
    const artifact = await anArtifact(ctx, 'a')
    const input = { artifact, scanId: 'scn_1', scannedAt: BUILT, result: aResult(), finish: [] }
    expect(await ingestResult(ctx, input)).toEqual({
      accepted: ['trivy', 'grype', 'syft'],
      refused: [],
      attempts: 1,
    })
    const row = await ctx.db.first(statement('SELECT * FROM artifacts WHERE id = ?', artifact))
    expect(row).toMatchObject({ packages: 300, ran: 3, trivy_build: BUILT, grade: 'D', risk: 100 })
    const image = await ctx.db.first(statement('SELECT * FROM images WHERE latest_artifact = ?', artifact))
    expect(image).toMatchObject({ grade: 'D', risk: 100 })
    const before = { ...ctx.db.meter }
    await ingestResult(ctx, { ...input, scanId: 'scn_2' })
    console.log(before, ctx.db.meter)
    await ingestResult(ctx, { ...input, scanId: 'scn_3', result: aResult({ build: BUILT + DAY / 2 }) })
    console.log(before, ctx.db.meter)
  })
})
