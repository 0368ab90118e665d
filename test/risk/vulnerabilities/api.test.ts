import { beforeAll, describe, expect, it } from 'vitest'
import { statement } from '../../../src/db/database.ts'
import { vulnerabilityId } from '../../../src/ids.ts'
import { gzipText } from '../../../src/risk/findings/gzip-text.ts'
import { chunkLocations } from '../../../src/risk/findings/locations.ts'
import { anOrganization, nobody, type TestOrganization } from '../../world.ts'
import { type Expected, SEVERITIES, STATUSES, shownMatches } from '../expected.ts'
import { aWorld, bitsOf, plant, type SeedMatch, type SeedWorld } from '../seed.ts'

const SIZE = {
  images: 4,
  artifactsPerImage: 2,
  bases: 1,
  basePackages: 30,
  ownPackages: 10,
  matchesPerPackage: 1.5,
}

let ours: TestOrganization
let theirs: TestOrganization
let world: SeedWorld
let shown: Expected[]

beforeAll(async () => {
  ours = await anOrganization()
  theirs = await anOrganization()
  world = aWorld(ours.organization.num, SIZE)
  shown = shownMatches(world)
  await plant(ours.db, world)
  await plant(theirs.db, aWorld(theirs.organization.num, SIZE))
})

const once = <T>(values: readonly T[]) => [...new Set(values)]
const idOf = ({ id }: { id: number }) => vulnerabilityId(id)
const shownBy = (match: SeedMatch) =>
  world.artifacts.filter((artifact) => bitsOf(world, match, artifact) !== 0)

describe('GET /api/vulnerabilities', () => {
  it('shows each match as the contract has it', async () => {
    const { status, body } = await ours.get('/api/vulnerabilities?limit=200')
    expect(status).toBe(200)
    const corroborated = shown.find(({ match }) => match.engines === 3 && match.fixedVersion && match.cvss)!
    const { match, artifacts } = corroborated
    const verdict = {
      severity: SEVERITIES[match.severity],
      cvss: match.cvss! / 10,
      fixState: 'fixed',
      fixedVersions: [match.fixedVersion],
      databaseBuiltAt: new Date(match.firstAt).toISOString(),
    }
    expect(body.data.find(({ id }: { id: string }) => id === idOf(match))).toEqual({
      id: idOf(match),
      cveId: match.vulnerability,
      aliases: [`GHSA-${match.vulnerability.slice(-5)}`],
      packageName: match.package.name,
      packageType: 'npm',
      purl: `pkg:npm/${match.package.name}@${match.package.version}`,
      installedVersion: match.package.version,
      fixedVersion: match.fixedVersion,
      severity: SEVERITIES[match.severity],
      cvss: match.cvss! / 10,
      cvssVector: null,
      sources: ['trivy', 'grype'],
      engines: { trivy: verdict, grype: verdict },
      affectedCount: artifacts.length,
      triage: { status: STATUSES[match.status] },
      timeline: { detectedAt: new Date(match.seenAt).toISOString(), remediatedAt: null },
    })
  })

  it('says what it ignored and links to the next page with everything that it read', async () => {
    const { body } = await ours.get('/api/vulnerabilities?pageSize=3&sort=colour:asc&severity=low&depth=2')
    expect(body.meta).toMatchObject({ page: 1, pageSize: 3, ignored: ['depth', 'sort'], hasPrev: false })
    expect(body.links.self).toBe('/api/vulnerabilities?page=1&limit=3&severity=low')
    expect(body.links.next).toMatch(/^\/api\/vulnerabilities\?page=2&limit=3&severity=low&cursor=/)
    const next = await ours.get(body.links.next)
    expect(next.body.meta).toMatchObject({ page: 2, hasPrev: true, total: body.meta.total })
  })

  it.each([
    ['limit=201', 'limit'],
    ['pageSize=0', 'pageSize'],
    ['page=0', 'page'],
    ['severity=AWFUL', 'severity'],
    ['status=MAYBE', 'status'],
    ['scanner=clair', 'scanner'],
    ['fixable=perhaps', 'fixable'],
    ['cursor=abc', 'cursor'],
    [`search=${'x'.repeat(200)}`, 'search'],
  ])('refuses %s and names the parameter', async (query, path) => {
    const answer = await ours.get(`/api/vulnerabilities?${query}`)
    expect(answer).toBeProblem(400, 'VALIDATION_ERROR')
    expect(answer.body.error.issues.map((issue: { path: string }) => issue.path)).toEqual([path])
  })

  it('shows only its own rows under a cursor that another organization was given', async () => {
    const { body } = await theirs.get('/api/vulnerabilities?limit=5')
    const stolen = await ours.get(body.links.next)
    expect(stolen.status).toBe(200)
    const own = new Set(shown.map(idOf))
    for (const { id } of stolen.body.data) expect(own).toContain(id)
  })

  it('takes two round trips, the credential and the page', async () => {
    expect((await ours.get('/api/vulnerabilities?severity=HIGH&search=lib')).meter.trips).toBe(2)
  })

  it('is read by a viewer, and by nobody without a credential', async () => {
    expect((await (await ours.as('viewer')).get('/api/vulnerabilities')).status).toBe(200)
    expect(await nobody.get('/api/vulnerabilities')).toBeProblem(401, 'UNAUTHORIZED')
  })
})

describe('GET /api/vulnerabilities/{vulnId}', () => {
  const single = () =>
    shown.find(
      ({ match }) => shown.filter((s) => s.match.vulnerability === match.vulnerability).length === 1,
    )!

  it('finds by id, and by a CVE id that one package version has, in any case', async () => {
    const { match } = single()
    for (const id of [idOf(match), match.vulnerability, match.vulnerability.toLowerCase()]) {
      const { status, body } = await ours.get(`/api/vulnerabilities/${id}`)
      expect(status, id).toBe(200)
      expect(body.data).toMatchObject({
        id: idOf(match),
        links: [],
        cwes: [],
        title: null,
        publishedAt: null,
      })
    }
  })

  it('does not guess which match a CVE id means that several package versions have', async () => {
    const [first] = shown
    const second = shown.find(({ match }) => match.package !== first!.match.package)
    await ours.db.run(
      statement(
        'UPDATE matches SET vulnerability = ? WHERE org = ? AND id IN (?, ?)',
        'CVE-2000-1',
        world.org,
        first!.id,
        second!.id,
      ),
    )
    const answer = await ours.get('/api/vulnerabilities/CVE-2000-1')
    await Promise.all(
      [first!, second!].map(({ match }) =>
        ours.db.run(
          statement(
            'UPDATE matches SET vulnerability = ? WHERE org = ? AND id = ?',
            match.vulnerability,
            world.org,
            match.id,
          ),
        ),
      ),
    )
    expect(answer).toBeProblem(404, 'NOT_FOUND')
  })

  it('hides what no live artifact shows while a change is written in part', async () => {
    const { match } = single()
    const links = statement('UPDATE artifacts SET ran = ran & ~? WHERE org = ?', match.engines, world.org)
    const before = await ours.db.all<{ id: number; ran: number }>(
      statement('SELECT id, ran FROM artifacts WHERE org = ?', world.org),
    )
    const unfinished = (names: string | null) =>
      statement('UPDATE ingest_state SET unfinished = ? WHERE org = ?', names, world.org)
    const known = await ours.db.first<{ unfinished: string | null }>(
      statement('SELECT unfinished FROM ingest_state WHERE org = ?', world.org),
    )
    await ours.db.batch([links, unfinished('["test"]')])
    const answers = [
      await ours.get(`/api/vulnerabilities/${idOf(match)}`),
      await ours.get(`/api/vulnerabilities/${idOf(match)}/images`),
    ]
    await ours.db.batch([
      ...before.map(({ id, ran }) => statement('UPDATE artifacts SET ran = ? WHERE id = ?', ran, id)),
      unfinished(known!.unfinished),
    ])
    for (const answer of answers) expect(answer).toBeProblem(404, 'NOT_FOUND')
  })

  it("answers another organization's id like a random one", async () => {
    const { match } = single()
    const theirAnswer = await theirs.get(`/api/vulnerabilities/${idOf(match)}`)
    const random = await theirs.get('/api/vulnerabilities/vul_123456789')
    expect(theirAnswer).toBeProblem(404, 'NOT_FOUND')
    expect(theirAnswer.body).toEqual(random.body)
    expect(await theirs.get(`/api/vulnerabilities/${idOf(match)}/images`)).toBeProblem(404, 'NOT_FOUND')
  })
})

describe('GET /api/vulnerabilities/{vulnId}/images', () => {
  it('names every live artifact that shows it, once, with its tag', async () => {
    const match = [...shown].sort((a, b) => b.artifacts.length - a.artifacts.length)[0]!.match
    const found: string[] = []
    let url: string | undefined = `/api/vulnerabilities/${idOf(match)}/images?limit=3`
    while (url) {
      const { body } = await ours.get(url)
      expect(body.meta.total).toBe(shownBy(match).length)
      for (const { digest, image, tag, platform, since } of body.data) {
        const artifact = world.artifacts.find((one) => one.digest === digest)!
        expect({ image, tag, platform, since }).toEqual({
          image: { id: artifact.image.id, name: artifact.image.name },
          tag: artifact.image.tags.find((one) => one.artifact === artifact.id)!.name,
          platform: 'linux/amd64',
          since: new Date(Math.max(match.seenAt, artifact.links.get(match.package.id)!)).toISOString(),
        })
        found.push(digest)
      }
      url = body.links.next
    }
    expect(found.sort()).toEqual(
      shownBy(match)
        .map(({ digest }) => digest)
        .sort(),
    )
  })

  it('names the layer and path, and where a verdict was carried from until a scan there confirms it', async () => {
    const { match } = shown.find((one) => one.match.engines === 3 && one.artifacts.length > 1)!
    const [first, second] = shownBy(match).filter((artifact) => bitsOf(world, match, artifact) === 3)
    const layers = JSON.stringify([{ digest: 'sha256:base' }, { digest: 'sha256:app' }])
    const places = new Map([
      [match.package.id - 1, [['/other', 0]]],
      [
        match.package.id,
        [
          ['/app/package.json', 1],
          ['/copy', null],
        ],
      ],
    ] as const)
    for (const { chunk, digest, json } of await chunkLocations(places as never)) {
      await ours.db.run(
        statement(
          'INSERT INTO artifact_locations (org, artifact, chunk, digest, data) VALUES (?, ?, ?, ?, ?)',
          world.org,
          first!.id,
          chunk,
          digest,
          await gzipText(json),
        ),
      )
    }
    await ours.db.batch([
      statement('UPDATE artifacts SET layers = ? WHERE id = ?', layers, first!.id),
      statement(
        'UPDATE artifacts SET trivy_build = ?, grype_build = ? WHERE id = ?',
        match.firstAt,
        match.firstAt - 1,
        first!.id,
      ),
      statement(
        'UPDATE artifacts SET trivy_build = ?, grype_build = ? WHERE id = ?',
        match.firstAt - 1,
        match.firstAt - 1,
        second!.id,
      ),
    ])
    const { body } = await ours.get(`/api/vulnerabilities/${idOf(match)}/images?limit=200`)
    const at = (digest: string) => body.data.find((one: { digest: string }) => one.digest === digest)
    expect(at(first!.digest)).toMatchObject({ layer: 'sha256:app', path: '/app/package.json', carried: null })
    expect(at(second!.digest)).toMatchObject({
      layer: null,
      path: null,
      carried: { engine: 'trivy', builtAt: new Date(match.firstAt).toISOString() },
    })
    const image = first!.image
    const tag = image.tags.find((one) => one.artifact === first!.id)!
    const findings = await ours.get(
      `/api/images/${image.id}/tags/${tag.id}/vulnerabilities?cveId=${match.vulnerability}`,
    )
    expect(findings.body.data.find(({ id }: { id: string }) => id === idOf(match))).toMatchObject({
      image: { id: image.id, name: image.name, tag: tag.name, digest: first!.digest },
      layer: 'sha256:app',
      path: '/app/package.json',
    })
  })
})

describe('GET /api/vulnerabilities/distinct', () => {
  const expected: Record<string, () => string[]> = {
    severity: () =>
      SEVERITIES.filter((_, level) => shown.some(({ match }) => match.severity === level)).reverse(),
    status: () => STATUSES.filter((_, status) => shown.some(({ match }) => match.status === status)),
    scanner: () =>
      ['trivy', 'grype', 'osv'].filter((_, bit) => shown.some(({ match }) => match.engines & (1 << bit))),
    image: () => once(shown.flatMap(({ artifacts }) => artifacts.map(({ image }) => image.name))).sort(),
    package: () => once(shown.map(({ match }) => match.package.name)).sort(),
    cveId: () => once(shown.map(({ match }) => match.vulnerability)).sort(),
  }

  it.each(Object.keys(expected))('lists each value of %s once', async (field) => {
    const { body } = await ours.get(`/api/vulnerabilities/distinct?field=${field}`)
    expect(body).toEqual({ data: expected[field]!(), meta: { field, complete: true } })
  })

  it.each(['?field=purl', '?field=', ''])('refuses %s', async (query) => {
    expect(await ours.get(`/api/vulnerabilities/distinct${query}`)).toBeProblem(400, 'VALIDATION_ERROR')
  })
})
