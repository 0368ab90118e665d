import { describe, expect, it } from 'vitest'
import { readPage } from '../../../src/http/pages.ts'
import { readImage } from '../../../src/inventory/images/read.ts'
import { listTags, TAG_LIST } from '../../../src/inventory/images/tags.ts'
import { FINDING_LIST, listFindings, presentFinding } from '../../../src/risk/findings/index.ts'
import { findingsOfScan, readScan } from '../../../src/scanning/scans/read.ts'
import { aScan, aWorld, MINUTE, scanState, T0, type World } from '../world.ts'
import { type SensorScan, sensorEnvelope } from './go-sensor.ts'
import { handIn, wireIdOf } from './hand-in.ts'
import { type Raw, recordedReports } from './recorded.ts'

const REPORTS = await recordedReports('sample-amd64')
const DIGEST = `sha256:${'d1'.repeat(32)}`

/** A scan that a sensor runs, with its result handed in. */
async function scanned(world: World, scan: Partial<SensorScan> & { image?: string; at?: number } = {}) {
  const { image = 'team/app:1.0', at = T0, ...more } = scan
  const scanId = await aScan(world, { image, at })
  const id = await wireIdOf(world, scanId)
  await handIn(
    world,
    scanId,
    sensorEnvelope({ id, ref: `${world.host}/${image}`, ...REPORTS, ...more }),
    at + MINUTE,
  )
  return scanId
}

async function findingsOf(world: World, scanId: string): Promise<Raw[]> {
  const ctx = world.at(T0)
  const request = readPage(FINDING_LIST, 'https://api.test/x?limit=200')
  const page = await listFindings(ctx, findingsOfScan(ctx, scanId), request as never)
  return page.data.map(presentFinding)
}

const told = (findings: Raw[]) =>
  findings
    .map((each) => `${each.cveId} ${each.packageType}/${each.packageName}@${each.installedVersion}`)
    .sort()

describe('the result of a job as an envelope 1.0', () => {
  it('ends the scan complete, with findings, engines as the sensor names them and the digest that it knows', async () => {
    const world = await aWorld('sensor')
    const scanId = await scanned(world, { digest: `${world.host}/team/app@${DIGEST}` })
    const scan = await readScan(world.at(T0), scanId)
    expect(scan).toMatchObject({ status: 'COMPLETE', partial: false, digest: DIGEST, reason: null })
    expect(scan.engines.map(({ name, status }) => `${name} ${status}`)).toEqual([
      ...['trivy succeeded', 'grype succeeded', 'syft succeeded'],
    ])
    expect(scan.engines[0]!.version).toBe('Version: 0.69.3')
    const findings = await findingsOf(world, scanId)
    const document = sensorEnvelope({ id: '', ref: '', ...REPORTS })
    expect(new Set(told(findings)).size).toBe(findings.length)
    expect(findings.length).toBe(
      new Set(
        document.findings.vulnerabilities.map((each: Raw) =>
          `${each.cveId} ${each.packageName}`.toLowerCase(),
        ),
      ).size,
    )
    expect(findings[0].image).toMatchObject({ name: `${world.host}/team/app`, tag: '1.0', digest: DIGEST })
  })

  it('is about what its job names, whatever name, tag and digest it has itself', async () => {
    const world = await aWorld('cloud')
    const scanId = await scanned(world, { ref: 'evil.test/other/image:9', digest: `x@${DIGEST}` })
    const scan = await readScan(world.at(T0), scanId)
    expect(scan.status).toBe('COMPLETE')
    expect(scan.digest).not.toBe(DIGEST)
    expect(scan.image).toBe(`${world.host}/team/app:1.0`)
  })

  it('is about the digest that was asked for', async () => {
    const world = await aWorld('sensor')
    const scanId = await scanned(world, {
      image: `team/app@${DIGEST}`,
      digest: `x@sha256:${'ee'.repeat(32)}`,
    })
    expect(await readScan(world.at(T0), scanId)).toMatchObject({ status: 'COMPLETE', digest: DIGEST })
  })

  it('that is FAILED fails the scan and keeps the last good result', async () => {
    const world = await aWorld('sensor')
    const good = await scanned(world, { digest: DIGEST })
    const before = told(await findingsOf(world, good))
    const nothing = { trivy: null, grype: null, syft: null }
    const failed = await scanned(world, {
      ...nothing,
      status: 'FAILED',
      digest: DIGEST,
      at: T0 + 10 * MINUTE,
    })
    expect(await scanState(world, failed)).toMatchObject({ status: 'FAILED', code: 'all_engines_failed' })
    expect(told(await findingsOf(world, good))).toEqual(before)
  })

  it('that is PARTIAL says so, and withdraws nothing that only the silent engine knows', async () => {
    const world = await aWorld('sensor')
    const good = await scanned(world, { digest: DIGEST })
    const before = await findingsOf(world, good)
    const onlyGrype = before.filter(({ sources }) => sources.join() === 'grype')
    expect(onlyGrype.length).toBeGreaterThan(0)
    const partial = await scanned(world, {
      grype: null,
      status: 'PARTIAL',
      digest: DIGEST,
      at: T0 + 10 * MINUTE,
    })
    const scan = await readScan(world.at(T0), partial)
    expect(scan).toMatchObject({ status: 'COMPLETE', partial: true })
    expect(scan.engines.find(({ name }) => name === 'grype')).toMatchObject({
      status: 'failed',
      reason: { code: 'engine_failed' },
    })
    expect(told(await findingsOf(world, partial))).toEqual(expect.arrayContaining(told(onlyGrype)))
  })

  it('that has no package list speaks of the packages that the image is known to have', async () => {
    const world = await aWorld('sensor')
    const good = await scanned(world, { digest: DIGEST })
    const before = await findingsOf(world, good)
    const only = { trivy: null, syft: null, status: 'PARTIAL', digest: DIGEST } as const
    const partial = await scanned(world, { ...only, at: T0 + 10 * MINUTE })
    const after = await findingsOf(world, partial)
    const ids = (findings: Raw[]) => findings.map(({ id }) => id).sort()
    expect(ids(after)).toEqual(ids(before))
    expect(after.every(({ packageType }) => packageType !== 'generic')).toBe(true)
  })

  it('about another job changes nothing', async () => {
    const world = await aWorld('sensor')
    const scanId = await scanned(world, { id: 'another-job' })
    expect(await scanState(world, scanId)).toMatchObject({ status: 'FAILED', code: 'result_invalid' })
  })

  it('with compliance and efficiency keeps them in the log', async () => {
    const world = await aWorld('sensor')
    const scanId = await aScan(world)
    const document = sensorEnvelope({ id: await wireIdOf(world, scanId), ref: 'x', ...REPORTS })
    document.findings.compliance.push({ ruleId: 'CIS-DI-0001', severity: 'MEDIUM', source: 'dockle' })
    await handIn(world, scanId, document)
    expect((await readScan(world.at(T0), scanId)).logs).toContain('dockle MEDIUM CIS-DI-0001')
  })
})

describe('an image whose digest nobody knows', () => {
  const tagOf = async (world: World, imageId: string) => {
    const request = readPage(TAG_LIST, 'https://api.test/x')
    return (await listTags(world.at(T0), imageId, request as never)).data[0]!
  }

  it('has its findings under the tag, and no digest is shown for it', async () => {
    const world = await aWorld('sensor')
    const scanId = await scanned(world)
    const scan = await readScan(world.at(T0), scanId)
    expect(scan).toMatchObject({ status: 'COMPLETE', digest: null, platform: null })
    const findings = await findingsOf(world, scanId)
    expect(findings.length).toBeGreaterThan(20)
    expect(findings[0].image).toMatchObject({ tag: '1.0', digest: null })
    expect(await readImage(world.at(T0), scan.imageId!)).toMatchObject({
      latestTag: '1.0',
      latestDigest: null,
      grade: 'D',
    })
    expect(await tagOf(world, scan.imageId!)).toMatchObject({ digest: null, grade: 'D' })
  })

  it('is the same one at the next scan', async () => {
    const world = await aWorld('sensor')
    await scanned(world)
    await scanned(world, { at: T0 + 10 * MINUTE })
    expect(
      await world.rows('SELECT digest, live FROM artifacts WHERE org = ?', world.organization.num),
    ).toEqual([{ digest: 'tag:1.0', live: 1 }])
  })

  it('is replaced once the digest is known, and its findings are those of the digest', async () => {
    const world = await aWorld('sensor')
    const first = await scanned(world)
    const second = await scanned(world, { digest: DIGEST, at: T0 + 10 * MINUTE })
    const { imageId } = await readScan(world.at(T0), first)
    expect(await tagOf(world, imageId!)).toMatchObject({ digest: DIGEST, grade: 'D' })
    const named = await world.rows<{ digest: string }>(
      `SELECT a.digest FROM tag_artifacts l JOIN artifacts a ON a.id = l.artifact WHERE l.org = ?`,
      world.organization.num,
    )
    expect(named).toEqual([{ digest: DIGEST }])
    expect(world.sent.some(({ kind }) => kind === 'artifacts.retire')).toBe(false) // promised by the batch, sent by the sweep
    const promised = await world.rows<{ message: string }>(
      'SELECT message FROM outbox WHERE org = ?',
      world.organization.num,
    )
    expect(promised.some(({ message }) => message.includes('artifacts.retire'))).toBe(true)
    expect((await findingsOf(world, second)).length).toBeGreaterThan(20)
  })

  it('takes nothing from a tag whose digest is known, and goes when that is scanned again', async () => {
    const world = await aWorld('sensor')
    const known = await scanned(world, { digest: DIGEST })
    await scanned(world, { at: T0 + 10 * MINUTE })
    const { imageId } = await readScan(world.at(T0), known)
    expect(await tagOf(world, imageId!)).toMatchObject({ digest: DIGEST })
    await scanned(world, { digest: DIGEST, at: T0 + 20 * MINUTE })
    const named = await world.rows<{ digest: string }>(
      `SELECT a.digest FROM tag_artifacts l JOIN artifacts a ON a.id = l.artifact WHERE l.org = ?`,
      world.organization.num,
    )
    expect(named).toEqual([{ digest: DIGEST }])
  })
})
