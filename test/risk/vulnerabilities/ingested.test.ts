import { beforeAll, describe, expect, it } from 'vitest'
import { type Statement, statement } from '../../../src/db/database.ts'
import { readPage } from '../../../src/http/pages.ts'
import { vulnerabilityId } from '../../../src/ids.ts'
import {
  FINDING_LIST,
  type FindingRow,
  ingestResult,
  listFindings,
  presentFinding,
} from '../../../src/risk/findings/index.ts'
import {
  listVulnerabilityImages,
  VULNERABILITY_IMAGE_LIST,
} from '../../../src/risk/vulnerabilities/images.ts'
import { listVulnerabilities } from '../../../src/risk/vulnerabilities/list.ts'
import { VULNERABILITY_LIST } from '../../../src/risk/vulnerabilities/list-spec.ts'
import { presentAffectedImage } from '../../../src/risk/vulnerabilities/present.ts'
import { aContext, anArtifact } from '../context.ts'
import { aResult, BUILT, DAY, type ResultShape } from '../results.ts'

const ctx = aContext(7401)
const org = ctx.organization.num

/** Four images over one base: first one behind by a day, then in agreement, scanned by trivy alone, and silent about a third. */
const SCANS: Record<string, ResultShape> = {
  behind: { from: 10, build: BUILT - DAY, without: (finding) => finding % 4 === 0 },
  agreeing: { from: 0 },
  alone: { from: 20, engines: ['trivy', 'syft'] },
  silent: { from: 5, without: (finding) => finding % 3 === 0 },
}
const artifacts = new Map<string, number>()

const place = (artifact: number): Statement =>
  statement(
    `SELECT id AS artifact, image_id AS imageId, image_name AS imageName, NULL AS tag FROM artifacts
     WHERE org = ? AND id = ?`,
    org,
    artifact,
  )

async function findingsOf(artifact: number): Promise<FindingRow[]> {
  const request = readPage(FINDING_LIST, '/api/x?limit=200')
  return (await listFindings(ctx, { resource: 'Image', select: place(artifact) }, request)).data
}

beforeAll(async () => {
  for (const [name, shape] of Object.entries(SCANS)) {
    const artifact = await anArtifact(ctx, name)
    artifacts.set(name, artifact)
    const result = aResult({ packages: 60, findings: 90, ...shape })
    await ingestResult(ctx, { artifact, scanId: `scn_${name}`, scannedAt: BUILT, result, finish: [] })
  }
})

describe('what was ingested', () => {
  it('is counted on each match as often as artifacts list it', async () => {
    const listed = new Map<number, number>()
    for (const artifact of artifacts.values())
      for (const { id } of await findingsOf(artifact)) listed.set(id, (listed.get(id) ?? 0) + 1)
    const { data, meta } = await listVulnerabilities(ctx, readPage(VULNERABILITY_LIST, '/api/x?limit=200'))
    expect(meta.total).toBe(listed.size)
    expect(new Map(data.map(({ id, affected }) => [id, affected]))).toEqual(listed)
    for (const { id, affected } of data.slice(0, 20)) {
      const request = readPage(VULNERABILITY_IMAGE_LIST, '/api/x')
      const page = await listVulnerabilityImages(ctx, vulnerabilityId(id), request)
      expect([page.data.length, page.meta.total]).toEqual([affected, affected])
    }
  })

  it("is listed with the engines' words, purl, layer and path", async () => {
    const result = aResult({ packages: 60, findings: 90 })
    const findings = (await findingsOf(artifacts.get('agreeing')!)).map(presentFinding)
    for (const { package: index, vulnerability, engine, severity } of result.findings) {
      const listed = result.packages[index]!
      const found = findings.find(
        ({ cveId, packageName }) =>
          cveId === result.vulnerabilities[vulnerability]!.id && packageName === listed.name,
      )!
      const verdict = found.engines[engine]!
      expect(verdict.severity).toBe(severity)
      expect([BUILT - DAY, BUILT]).toContain(Date.parse(verdict.databaseBuiltAt!))
      expect(found.purl).toMatch(/^pkg:(deb|npm|pypi|golang)\//)
      const [location] = listed.locations
      expect(found.path).toBe(location!.path)
      const layer = result.image!.layers.find(({ diffId }) => diffId === location!.layer)!
      expect(found.layer).toBe(layer.digest)
    }
  })

  it('is carried where an older scan does not know it yet, and says from where', async () => {
    const result = aResult({ packages: 60, findings: 90, ...SCANS.behind })
    const printed = new Set(
      result.findings.map(({ package: index, vulnerability }) => {
        return `${result.packages[index]!.name} ${result.vulnerabilities[vulnerability]!.id}`
      }),
    )
    const seen = { own: 0, carried: 0 }
    for (const { id, name, vulnerability } of await findingsOf(artifacts.get('behind')!)) {
      const request = readPage(VULNERABILITY_IMAGE_LIST, '/api/x')
      const page = await listVulnerabilityImages(ctx, vulnerabilityId(id), request)
      const row = page.data.find(({ imageName }) => imageName.endsWith('/behind'))!
      const isOwn = printed.has(`${name} ${vulnerability}`)
      seen[isOwn ? 'own' : 'carried']++
      const { carried } = presentAffectedImage(row)
      if (isOwn) expect(carried).toBeNull()
      else expect(carried).toMatchObject({ builtAt: new Date(BUILT).toISOString() })
    }
    expect(seen.own).toBeGreaterThan(0)
    expect(seen.carried).toBeGreaterThan(0)
  })
})
