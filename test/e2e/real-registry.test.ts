import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import type { Api } from '../../dev/local/api.ts'
import { writeSampleImage } from '../../dev/sample/image/sample-image.ts'
import type { WrittenImage } from '../../dev/sample/image/written-image.ts'
import { type SampleRegistry, serveLayouts } from '../../dev/sample/registry.ts'
import type { ShownFinding } from './compare-findings.ts'
import { byPassword, DebianRegistry, debianRegistryLacks } from './debian-registry.ts'
import { notRun } from './not-run.ts'
import { anOrganization } from './organization.ts'
import { pushImage } from './push-image.ts'
import { connectRegistry, synced } from './registries.ts'
import { ended, findingsOf, requestScan, withoutPlace } from './scans.ts'
import { serveTokens, type TokenServer } from './token-server.ts'

const REPOSITORY = 'team/nested/sample'
const account = { username: 'puller', password: `secret-${randomBytes(16).toString('hex')}` }
const wrong = { username: 'puller', password: `wrong-${randomBytes(16).toString('hex')}` }
const basic = `Basic ${Buffer.from(`${account.username}:${account.password}`).toString('base64')}`

const lacking = debianRegistryLacks(['htpasswd', 'openssl'])
const work = join(inject('system').work, 'real-registry')
let image: WrittenImage
let sampleRegistry: SampleRegistry
let expected: ShownFinding[]
let api: Api
const kinds: Record<'Basic' | 'token', DebianRegistry | null> = { Basic: null, token: null }
let tokens: TokenServer

beforeAll(async () => {
  if (lacking) return notRun(`a real registry with Basic and token authentication: ${lacking}`)
  image = writeSampleImage(join(work, 'image'))
  kinds.Basic = await DebianRegistry.start(
    join(work, 'basic'),
    await byPassword(join(work, 'basic'), account),
  )
  await pushImage(image, kinds.Basic.host, REPOSITORY, basic)
  tokens = await serveTokens(join(work, 'tokens'), account)
  kinds.token = await DebianRegistry.start(join(work, 'token'), tokens)
  const token = await tokens.grant([`repository:${REPOSITORY}:pull,push`])
  await pushImage(image, kinds.token.host, REPOSITORY, `Bearer ${token}`)

  sampleRegistry = await serveLayouts({
    repositories: { [REPOSITORY]: { layoutDir: image.layoutDir, tags: { [image.tag]: image.digest } } },
  })
  api = await anOrganization()
  await connectRegistry(api, sampleRegistry.host)
  const scan = await ended(api, await requestScan(api, `${sampleRegistry.host}/${REPOSITORY}:${image.tag}`))
  expected = await findingsOf(api, scan.id)
})
afterAll(async () => {
  await sampleRegistry?.close()
  await kinds.Basic?.stop()
  await kinds.token?.stop()
  await tokens?.close()
})

describe("Debian's docker-registry", () => {
  beforeEach((context) => {
    if (lacking) context.skip()
  })

  it.each(['Basic', 'token'] as const)(
    'with %s authentication is tried, connected, listed and scanned, with the findings of the sample registry',
    async (kind) => {
      const { host } = kinds[kind]!
      const connection = { provider: 'DOCKER_REGISTRY', url: `http://${host}`, insecure: true }
      const tried = await api.post('/api/registries/test-connection', { ...connection, credentials: account })
      const authentication = kind === 'Basic' ? 'basic' : 'bearer'
      expect(tried).toMatchObject({ data: { ok: true, authentication, reason: null } })

      const registry = await connectRegistry(api, host, { credentials: account })
      expect(registry).toMatchObject({ status: 'ACTIVE', imageCount: 1 })
      const images = await api.all<{ id: string; name: string; registryId: string }>('/api/images')
      const listed = images.find(({ registryId }) => registryId === registry.id)!
      expect(listed.name).toBe(`${host}/${REPOSITORY}`)
      const tags = await api.all<{ name: string; digest: string }>(`/api/images/${listed.id}/tags`)
      expect(tags.map(({ name }) => name)).toEqual([image.tag])

      for (const [platform, architecture] of [
        ['linux/amd64', 'amd64'],
        ['linux/arm64', 'arm64'],
      ]) {
        const scan = await ended(
          api,
          await requestScan(api, `${host}/${REPOSITORY}:${image.tag}`, { platform }),
        )
        expect(scan).toMatchObject({ status: 'COMPLETE', partial: false })
        expect(scan.platform).toContain(architecture)
        const found = await findingsOf(api, scan.id)
        if (platform === 'linux/amd64') expect(withoutPlace(found)).toEqual(withoutPlace(expected))
        else expect(found).toHaveLength(expected.length)
      }
    },
  )

  it('asks the token server for what each step needs, and for nothing more', () => {
    const scopes = [...new Set(tokens.granted.flat())].toSorted()
    expect(scopes).toEqual(['registry:catalog:*', `repository:${REPOSITORY}:pull`])
    expect(tokens.refusals()).toBe(0)
  })

  it.each(['Basic', 'token'] as const)(
    'with %s authentication and wrong credentials is an ERROR, and a scan of it FAILED registry_unauthorized',
    async (kind) => {
      const { host } = kinds[kind]!
      const other = await anOrganization()
      const connection = { provider: 'DOCKER_REGISTRY', url: `http://${host}`, insecure: true }
      const tried = await other.post('/api/registries/test-connection', { ...connection, credentials: wrong })
      expect(tried).toMatchObject({ data: { ok: false, reason: { code: 'registry_unauthorized' } } })
      const registry = await connectRegistry(other, host, { credentials: wrong })
      expect(registry).toMatchObject({ status: 'ERROR', statusReason: { code: 'registry_unauthorized' } })
      const scan = await ended(other, await requestScan(other, `${host}/${REPOSITORY}:${image.tag}`))
      expect(scan).toMatchObject({
        status: 'FAILED',
        reason: { code: 'registry_unauthorized' },
        counts: null,
      })

      const { id } = registry
      await other.put(`/api/registries/${id}`, { credentials: account })
      await other.post(`/api/registries/${id}/sync`, {})
      expect(await synced(other, id)).toMatchObject({ status: 'ACTIVE', statusReason: null })
    },
  )

  it('that is stopped fails scans with registry_unreachable, and the last good result stays', async () => {
    const { host } = kinds.Basic!
    await kinds.Basic!.stop()
    const scan = await ended(api, await requestScan(api, `${host}/${REPOSITORY}:${image.tag}`))
    expect(scan).toMatchObject({ status: 'FAILED', reason: { code: 'registry_unreachable' } })
    const images = await api.all<{ id: string; name: string; grade: string }>('/api/images')
    const kept = images.find(({ name }) => name === `${host}/${REPOSITORY}`)!
    expect(kept.grade).toBe('D')
    const findings = await api.all<ShownFinding>(`/api/images/${kept.id}/vulnerabilities?limit=200`)
    expect(withoutPlace(findings)).toEqual(withoutPlace(expected))
  })

  it('keeps its passwords out of logs, databases and blobs', async () => {
    const { stateDir } = inject('system')
    const secrets = [account, wrong].flatMap(({ username, password }) => [
      password,
      Buffer.from(`${username}:${password}`).toString('base64').slice(0, -4),
      Buffer.from(password).toString('base64').slice(2, -4),
    ])
    const files = readdirSync(stateDir, { recursive: true, encoding: 'utf8', withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
    expect(files.filter((file) => file.endsWith('.log')).length).toBeGreaterThan(1)
    expect(files.filter((file) => file.endsWith('.sqlite')).length).toBeGreaterThan(3)
    const holding = (texts: readonly string[]) =>
      files.filter((file) => {
        const content = readFileSync(file, 'latin1')
        return texts.some((text) => content.includes(text))
      })
    expect(holding([kinds.token!.host]).some((file) => file.includes('/d1/'))).toBe(true)
    expect(holding(secrets)).toEqual([])
  })
})
