import { describe, expect, it } from 'vitest'
import { statement } from '../../../src/db/database.ts'
import { giveUpSync, syncRegistry } from '../../../src/inventory/registries/index.ts'
import { RetryLater } from '../../../src/retry-later.ts'
import { aFakeRegistry, FAKE_CREDENTIALS } from '../../fake-registry.ts'
import { anOrganization } from '../../world.ts'
import {
  anArtifactOf,
  connect,
  finishSync,
  imagesOf,
  jobContext,
  readRegistry,
  type TagRow,
  tagsOf,
} from './system.ts'

describe('Reading a catalogue', () => {
  it.each([
    ['open', {}],
    ['basic', { credentials: FAKE_CREDENTIALS }],
    ['token', { credentials: FAKE_CREDENTIALS }],
  ] as const)('finds the images and tags of a registry that is %s, and scans nothing', async (mode, more) => {
    const { ours, fake, id, registry } = await connect(mode, undefined, more)
    expect(registry).toMatchObject({
      status: 'ACTIVE',
      statusReason: null,
      imageCount: 2,
      syncStatus: 'idle',
    })
    expect(registry.lastSyncedAt).not.toBeNull()
    const tags = await tagsOf(ours, id)
    expect(tags.map(({ repository, name }) => `${repository}:${name}`)).toEqual([
      ...['team/app:1.0', 'team/app:1.1', 'team/app:latest', 'team/worker:2.0'],
    ])
    expect(tags.every(({ digest }) => /^sha256:[0-9a-f]{64}$/.test(digest ?? ''))).toBe(true)
    const [app, worker] = await imagesOf(ours, id)
    expect(app).toMatchObject({
      name: `${fake.host}/team/app`,
      tag_count: 3,
      latest_tag: 'latest',
      critical: null,
    })
    expect(app!.latest_digest).toBe(tags[2]!.digest)
    expect(worker).toMatchObject({ tag_count: 1, latest_tag: '2.0' })
    const scans = await ours.db.first(
      statement('SELECT count(*) AS n FROM scans WHERE org = ?', ours.organization.num),
    )
    expect(scans).toEqual({ n: 0 })
  })

  it('follows moved, new and removed tags, and forgets repositories that are gone', async () => {
    const { ours, fake, id, resync } = await connect('open', {
      'a/kept': { latest: 'one', v1: 'one' },
      'a/gone': { v1: 'x' },
      'a/emptied': { v1: 'y' },
    })
    const before = await tagsOf(ours, id)
    await fake.set({ repositories: { 'a/kept': { latest: 'two', v2: 'two' }, 'a/emptied': {} } })
    expect(await resync()).toMatchObject({ status: 'ACTIVE', imageCount: 1 })
    const after = await tagsOf(ours, id)
    expect(after.map(({ name }) => name)).toEqual(['latest', 'v2'])
    expect(after[0]!.digest).not.toBe(before.find(({ name }) => name === 'latest')!.digest)
    expect(await imagesOf(ours, id)).toMatchObject([
      { repository: 'a/kept', tag_count: 2, latest_tag: 'latest' },
    ])
  })

  it('writes no image and no tag when nothing changed', async () => {
    const { ours, id, resync } = await connect('open')
    const all = async () => [
      await ours.db.all(statement('SELECT * FROM tags WHERE org = ? ORDER BY id', ours.organization.num)),
      await ours.db.all(statement('SELECT * FROM images WHERE org = ? ORDER BY id', ours.organization.num)),
    ]
    const before = await all()
    await resync()
    expect(await all()).toEqual(before)
    expect((await readRegistry(ours, id)).imageCount).toBe(2)
  })

  it('keeps what was scanned: a moved tag leaves its artifact, a tag of the same version shows it', async () => {
    const { ours, fake, id, resync } = await connect('open', { 'a/app': { v1: 'one' } })
    const org = ours.organization.num
    const [{ digest }] = (await tagsOf(ours, id)) as [TagRow]
    await anArtifactOf(ours, {
      registryId: id,
      host: fake.host,
      repository: 'a/app',
      tag: 'v1',
      versionDigest: digest!,
    })
    await ours.db.run(
      statement('UPDATE tags SET artifact = (SELECT id FROM artifacts WHERE org = ?1) WHERE org = ?1', org),
    )
    await fake.set({ repositories: { 'a/app': { v1: 'one', stable: 'one' } } })
    await resync()
    const [stable, v1] = (await tagsOf(ours, id)) as [TagRow, TagRow]
    expect(stable).toMatchObject({ name: 'stable', digest, artifact: v1.artifact })
    expect(v1.artifact).not.toBeNull()
    await fake.set({ repositories: { 'a/app': { v1: 'two', stable: 'one' } } })
    await resync()
    const [kept, moved] = (await tagsOf(ours, id)) as [TagRow, TagRow]
    expect(kept.artifact).toBe(stable.artifact)
    expect(moved.artifact).toBeNull()
    await fake.set({ repositories: {} })
    await resync()
    expect(await tagsOf(ours, id)).toEqual([])
    expect(await imagesOf(ours, id)).toMatchObject([{ tag_count: 0, latest_tag: null }])
  })

  it('reads only what the globs let through and what is below the prefix', async () => {
    const content = { 'team/app': { v1: 'a', 'v1-dev': 'b', latest: 'a' }, 'other/app': { v1: 'c' } }
    const ours = await anOrganization()
    const fake = await aFakeRegistry('open', content)
    const made = await ours.post('/api/registries', {
      ...{ name: 'x', provider: 'CUSTOM', url: `${fake.url}/team`, insecure: true },
      ...{ includeTags: 'v*, latest', excludeTags: '*-dev' },
    })
    const { id } = made.body.data
    await finishSync(ours, id)
    expect((await tagsOf(ours, id)).map(({ repository, name }) => `${repository}:${name}`)).toEqual([
      'team/app:latest',
      'team/app:v1',
    ])
    await ours.put(`/api/registries/${id}`, { scanning: { includeTags: 'latest' } })
    await ours.post(`/api/registries/${id}/sync`)
    await finishSync(ours, id)
    expect((await tagsOf(ours, id)).map(({ name }) => name)).toEqual(['latest'])
  })

  it('forgets what lies outside a prefix that was narrowed', async () => {
    const { ours, fake, id } = await connect('open', { 'team/app': { v1: 'a' }, 'other/app': { v1: 'b' } })
    await ours.put(`/api/registries/${id}`, { url: `${fake.url}/team` })
    expect(await finishSync(ours, id)).toMatchObject({ status: 'ACTIVE', imageCount: 1 })
    expect(await imagesOf(ours, id)).toMatchObject([{ repository: 'team/app' }])
  })

  it('reads a catalogue of several pages in slices that each end by themselves', async () => {
    const { ours, id, registry } = await connect('big')
    expect(registry).toMatchObject({ status: 'ACTIVE', imageCount: 250 })
    expect(await tagsOf(ours, id)).toHaveLength(750)
  }, 60_000)

  it('says that a registry without a catalogue works, and keeps the images that scans found', async () => {
    const { registry } = await connect('nocatalogue')
    expect(registry).toMatchObject({
      status: 'ACTIVE',
      statusReason: { code: 'registry_error' },
      imageCount: 0,
    })
  })
})

describe('A registry that does not give its catalogue', () => {
  it.each([
    ['down', 'registry_unreachable'],
    ['slow', 'registry_unreachable'],
    ['html', 'registry_invalid_reply'],
    ['error', 'registry_error'],
    ['limited', 'registry_rate_limited'],
    ['redirect', 'registry_unreachable'],
    ['basic', 'registry_unauthorized'],
    ['token', 'registry_unauthorized'],
  ] as const)('that is %s is in ERROR with %s', async (mode, code) => {
    const { registry } = await connect(mode)
    expect(registry).toMatchObject({ status: 'ERROR', statusReason: { code }, syncStatus: 'idle' })
    expect(registry.lastSyncedAt).toBeNull()
  })

  it('is asked again later while it may answer, shows what is wrong meanwhile, and recovers', async () => {
    const { ours, fake, id, resync } = await connect('open')
    await fake.set({ mode: 'limited' })
    await ours.post(`/api/registries/${id}/sync`)
    const ctx = await jobContext(ours)
    await expect(syncRegistry(ctx, id, 1)).rejects.toBeInstanceOf(RetryLater)
    const meanwhile = await readRegistry(ours, id)
    expect(meanwhile).toMatchObject({
      status: 'ERROR',
      statusReason: { code: 'registry_rate_limited' },
      imageCount: 2,
    })
    await giveUpSync(ctx, id)
    expect(await readRegistry(ours, id)).toMatchObject({ status: 'ERROR', syncStatus: 'idle' })
    await fake.set({ mode: 'open' })
    expect(await resync()).toMatchObject({ status: 'ACTIVE', statusReason: null })
  })
})
