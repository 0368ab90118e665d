import { beforeAll, describe, expect, it } from 'vitest'
import { statement } from '../../../src/db/database.ts'
import { shownFindings } from '../../risk/expected.ts'
import { aWorld, plant, type SeedWorld } from '../../risk/seed.ts'
import { anOrganization, type TestOrganization } from '../../world.ts'

const SIZE = {
  images: 3,
  artifactsPerImage: 2,
  bases: 1,
  basePackages: 20,
  ownPackages: 5,
  matchesPerPackage: 1.5,
}
const UNTOUCHED = 'img_untouched'

let ours: TestOrganization
let theirs: TestOrganization
let world: SeedWorld

beforeAll(async () => {
  ours = await anOrganization()
  theirs = await anOrganization()
  world = aWorld(ours.organization.num, SIZE)
  await plant(ours.db, world)
  await plant(theirs.db, aWorld(theirs.organization.num, SIZE))
  await ours.db.batch([
    statement(
      `INSERT INTO images (id, org, registry_id, repository, name, tag_count, latest_tag, created_at)
       VALUES (?, ?, ?, 'new', 'r0.example.com/new', 1, 'latest', 0)`,
      UNTOUCHED,
      world.org,
      world.registries[0]!.id,
    ),
    statement(
      `INSERT INTO tags (id, org, image_id, name, created_at, moved_at) VALUES ('tag_untouched', ?, ?, 'latest', 0, 0)`,
      world.org,
      UNTOUCHED,
    ),
  ])
})

const NEVER = { critical: null, high: null, medium: null, low: null }
const latestOf = (image: SeedWorld['images'][number]) =>
  world.artifacts.find(({ id }) => id === image.tags.at(-1)!.artifact)!

function countsOf(artifact: SeedWorld['artifacts'][number]) {
  const levels = shownFindings(world, artifact).map(({ match }) => match.severity)
  const [low, medium, high, critical] = [1, 2, 3, 4].map(
    (level) => levels.filter((each) => each === level).length,
  )
  return { critical, high, medium, low }
}

describe('GET /api/images', () => {
  it('shows each image with the counts of its latest tag', async () => {
    const { body } = await ours.get('/api/images')
    expect(body.meta.total).toBe(world.images.length + 1)
    for (const image of world.images) {
      const artifact = latestOf(image)
      expect(body.data.find(({ id }: { id: string }) => id === image.id)).toMatchObject({
        name: image.name,
        registryId: image.registry,
        tagCount: 2,
        latestTag: 'v1',
        latestDigest: artifact.digest,
        vulnerabilities: countsOf(artifact),
      })
    }
  })

  it('shows an image that was never scanned with nulls, never with 0 or A', async () => {
    const { body } = await ours.get(`/api/images/${UNTOUCHED}`)
    expect(body.data).toMatchObject({
      grade: null,
      riskScore: null,
      vulnerabilities: NEVER,
      lastScannedAt: null,
    })
    const tags = await ours.get(`/api/images/${UNTOUCHED}/tags`)
    expect(tags.body.data[0]).toMatchObject({
      name: 'latest',
      digest: null,
      grade: null,
      vulnerabilities: NEVER,
      platforms: [],
    })
    for (const path of ['vulnerabilities', 'tags/tag_untouched/vulnerabilities']) {
      const answer = await ours.get(`/api/images/${UNTOUCHED}/${path}`)
      expect(answer.body).toMatchObject({ data: [], meta: { total: 0 } })
    }
  })

  it.each([
    ['riskScore=101', 'riskScore'],
    ['riskScore=high', 'riskScore'],
    ['grade=E', 'grade'],
    ['grade=A,', 'grade'],
  ])('refuses %s', async (query, path) => {
    const answer = await ours.get(`/api/images?${query}`)
    expect(answer).toBeProblem(400, 'VALIDATION_ERROR')
    expect(answer.body.error.issues[0].path).toBe(path)
  })

  it('takes two round trips', async () => {
    expect((await ours.get('/api/images?search=app')).meter.trips).toBe(2)
    expect((await ours.get(`/api/images/${world.images[0]!.id}/tags`)).meter.trips).toBe(2)
    expect((await ours.get(`/api/images/${world.images[0]!.id}/vulnerabilities`)).meter.trips).toBe(2)
  })
})

describe('GET /api/images/{imageId}', () => {
  it("answers another organization's ids like random ones, on every path below", async () => {
    const [image] = world.images
    for (const path of ['', '/tags', '/vulnerabilities', `/tags/${image!.tags[0]!.id}/vulnerabilities`]) {
      const foreign = await theirs.get(`/api/images/${image!.id}${path}`)
      expect(foreign).toBeProblem(404, 'NOT_FOUND')
      expect(foreign.body).toEqual((await theirs.get(`/api/images/img_random${path}`)).body)
    }
  })

  it("does not show one image's tag below another", async () => {
    const [first, second] = world.images
    const answer = await ours.get(`/api/images/${first!.id}/tags/${second!.tags[0]!.id}/vulnerabilities`)
    expect(answer).toBeProblem(404, 'NOT_FOUND')
  })
})

describe('GET /api/images/{imageId}/tags', () => {
  it('lists tags by name and by when they moved, with what each shows', async () => {
    const image = world.images[0]!
    for (const [sort, order] of [
      ['name:asc', [...image.tags].sort((a, b) => (a.name < b.name ? -1 : 1))],
      ['movedAt:desc', [...image.tags].sort((a, b) => b.movedAt - a.movedAt || (a.id < b.id ? 1 : -1))],
    ] as const) {
      const { body } = await ours.get(`/api/images/${image.id}/tags?sort=${sort}`)
      expect(body.data.map(({ name }: { name: string }) => name)).toEqual(order.map(({ name }) => name))
      const artifact = world.artifacts.find(({ id }) => id === order[0]!.artifact)!
      expect(body.data[0]).toMatchObject({
        digest: artifact.digest,
        platforms: ['linux/amd64'],
        vulnerabilities: countsOf(artifact),
        movedAt: new Date(order[0]!.movedAt).toISOString(),
      })
    }
  })

  it('pages by cursor and searches', async () => {
    const image = world.images[1]!
    for (const sort of ['name:asc', 'movedAt:asc']) {
      const first = await ours.get(`/api/images/${image.id}/tags?limit=1&sort=${sort}`)
      const second = await ours.get(first.body.links.next)
      expect([first, second].map(({ body }) => body.data[0].name).sort()).toEqual(['v0', 'v1'])
      expect(second.body.links.next).toBeUndefined()
    }
    const { body } = await ours.get(`/api/images/${image.id}/tags?search=V1`)
    expect(body).toMatchObject({ data: [{ name: 'v1' }], meta: { total: 1 } })
  })
})

describe('findings of an image and of a tag', () => {
  it("are those of the latest tag's artifact, with the image and the engines that see them there", async () => {
    const image = world.images[0]!
    const artifact = latestOf(image)
    const expected = shownFindings(world, artifact)
    const tag = image.tags.at(-1)!
    for (const path of ['vulnerabilities', `tags/${tag.id}/vulnerabilities`]) {
      const { body } = await ours.get(`/api/images/${image.id}/${path}?limit=200`)
      expect(body.meta.total).toBe(expected.length)
      for (const { match, engines, detectedAt } of expected) {
        const names = ['trivy', 'grype', 'osv'].filter((_, bit) => engines & (1 << bit))
        const found = body.data.find(
          (one: { cveId: string; installedVersion: string }) =>
            one.cveId === match.vulnerability && one.installedVersion === match.package.version,
        )
        expect(found.sources).toEqual(names)
        expect(Object.keys(found.engines)).toEqual(names)
        expect(found.timeline.detectedAt).toBe(new Date(detectedAt).toISOString())
        expect(found.image).toEqual({
          id: image.id,
          name: image.name,
          tag: tag.name,
          digest: artifact.digest,
        })
      }
    }
  })
})
