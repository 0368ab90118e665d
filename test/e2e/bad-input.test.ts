import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { Api } from '../../dev/local/api.ts'
import { writeSampleImage } from '../../dev/sample/image/sample-image.ts'
import type { WrittenImage } from '../../dev/sample/image/written-image.ts'
import type { RegistryFault } from '../../dev/sample/registry/registry-fault.ts'
import { type SampleRegistry, serveLayouts } from '../../dev/sample/registry.ts'
import { anOrganization } from './organization.ts'
import { connectRegistry } from './registries.ts'
import { ended, findingsOf, requestScan } from './scans.ts'
import { connectSensed, type SensedRegistry, Sensors } from './sensors.ts'
import { until } from './until.ts'
import { writeWitnesses } from './witnessed-engines.ts'

const LEASE_LIMIT_MS = 5 * 60_000 // a lease of two minutes, the sweep that finds it, and the scan

const system = inject('system')
const work = join(system.work, 'bad-input')
const sensors = new Sensors()
const registries: SampleRegistry[] = []
let image: WrittenImage

async function aRegistry(): Promise<SampleRegistry> {
  const served = { layoutDir: image.layoutDir, tags: { [image.tag]: image.digest } }
  const registry = await serveLayouts({ repositories: { 'team/app': served } })
  registries.push(registry)
  return registry
}

const reference = (registry: { host: string }) => `${registry.host}/team/app:${image.tag}`

/** A scan in a registry that fails in some way since it was connected. */
interface FailingScan {
  api: Api
  scanId: string
  registry: SampleRegistry
}

async function aScanWith(api: Api, fault: RegistryFault | 'down'): Promise<FailingScan> {
  const registry = await aRegistry()
  await connectRegistry(api, registry.host)
  if (fault === 'down') await registry.close()
  else registry.setFault(fault)
  return { api, registry, scanId: await requestScan(api, reference(registry)) }
}

/** What keeps failing is asked for before the other tests, and looked at after them: dispatch asks four times. */
const patient: Record<'down' | 'silent' | 'broken', FailingScan | null> = {
  down: null,
  silent: null,
  broken: null,
}
let lost: { api: Api; registry: SensedRegistry; served: SampleRegistry; scanId: string }

beforeAll(async () => {
  image = writeSampleImage(join(work, 'image'))
  const api = await anOrganization()
  patient.down = await aScanWith(api, 'down')
  patient.silent = await aScanWith(api, { on: 'any', kind: 'stall' })
  patient.broken = await aScanWith(api, { on: 'any', kind: 'status', status: 500 })
  lost = await aScanWhoseRunnerIsKilled()
})
afterAll(async () => {
  await sensors.stop()
  for (const registry of registries) await registry.close()
})

/** A runner dies by SIGKILL while it pulls; another is there to take over. */
async function aScanWhoseRunnerIsKilled() {
  const [api, served] = [await anOrganization(), await aRegistry()]
  const registry = await connectSensed(api, served.host)
  const victim = await sensors.start(api, registry, { name: 'victim' })
  served.setFault({ on: 'blobs', kind: 'stall' })
  const scanId = await requestScan(api, reference(registry))
  await until(() => served.requests.find(({ path }) => path.includes('/blobs/')) ?? null)
  const gone = new Promise((resolve) => victim.once('exit', resolve))
  victim.kill('SIGKILL')
  await gone
  served.setFault(null)
  await sensors.start(api, registry, { name: 'successor' })
  return { api, registry, served, scanId }
}

describe('an image that is not as it should be', () => {
  let api: Api
  beforeAll(async () => {
    api = await anOrganization()
  })

  it.each([
    { what: 'repository', name: 'team/none:1.0', options: {}, code: 'image_not_found' },
    { what: 'tag', name: 'team/app:none', options: {}, code: 'image_not_found' },
    { what: 'digest', name: `team/app@sha256:${'0'.repeat(64)}`, options: {}, code: 'image_not_found' },
    {
      what: 'platform',
      name: 'team/app:1.0',
      options: { platform: 'linux/s390x' },
      code: 'platform_not_found',
    },
  ])('ends its scan FAILED $code where its $what is missing', async ({ name, options, code }) => {
    const registry = await aRegistry()
    await connectRegistry(api, registry.host)
    const scan = await ended(api, await requestScan(api, `${registry.host}/${name}`, options))
    expect(scan).toMatchObject({ status: 'FAILED', reason: { code }, counts: null, compliance: null })
  })

  it.each<{ fault: RegistryFault; code: string }>([
    { fault: { on: 'blobs', kind: 'corrupt' }, code: 'image_corrupt' },
    { fault: { on: 'blobs', kind: 'truncate' }, code: 'registry_unreachable' },
    { fault: { on: 'blobs', kind: 'status', status: 401 }, code: 'registry_unauthorized' },
    { fault: { on: 'manifests', kind: 'html' }, code: 'registry_invalid_reply' },
  ])(
    'ends its scan FAILED $code where the registry answers $fault.on with $fault.kind',
    async ({ fault, code }) => {
      const { scanId } = await aScanWith(api, fault)
      const scan = await ended(api, scanId)
      expect(scan).toMatchObject({ status: 'FAILED', reason: { code }, counts: null, compliance: null })
      expect(scan.engines.map(({ database }) => database)).toEqual([null, null, null])
    },
  )

  it('is scanned where the registry is only slow', async () => {
    const other = await anOrganization()
    const { scanId } = await aScanWith(other, { on: 'any', kind: 'slow', delayMs: 500 })
    expect(await ended(other, scanId)).toMatchObject({ status: 'COMPLETE', partial: false })
  })

  it('keeps its last good result when a later scan fails', async () => {
    const other = await anOrganization()
    const registry = await aRegistry()
    await connectRegistry(other, registry.host)
    const good = await ended(other, await requestScan(other, reference(registry)))
    const before = await findingsOf(other, good.id)
    registry.setFault({ on: 'blobs', kind: 'corrupt' })
    const bad = await ended(other, await requestScan(other, reference(registry)))
    expect(bad).toMatchObject({ status: 'FAILED', reason: { code: 'image_corrupt' } })
    expect(await findingsOf(other, good.id)).toEqual(before)
    const { data } = await other.get<{ data: object }>(`/api/images/${good.imageId}`)
    expect(data).toMatchObject({ grade: good.compliance, riskScore: good.riskScore })
  })
})

describe('a runner that lacks something', () => {
  it('has no database: trivy and grype fail with database_unavailable, and nothing counts as found', async () => {
    const [api, served] = [await anOrganization(), await aRegistry()]
    const registry = await connectSensed(api, served.host)
    await sensors.start(api, registry, { name: 'without-databases', sampleDatabases: null })

    const both = await ended(
      api,
      await requestScan(api, reference(registry), { scanners: ['trivy', 'grype'] }),
    )
    expect(both).toMatchObject({ status: 'FAILED', reason: { code: 'all_engines_failed' }, counts: null })

    const listed = await ended(api, await requestScan(api, reference(registry)))
    expect(listed).toMatchObject({ status: 'COMPLETE', partial: true, counts: null, compliance: null })
    const engines = listed.engines.map(({ name, status, reason }) => [name, status, reason?.code])
    expect(engines).toEqual([
      ['trivy', 'failed', 'database_unavailable'],
      ['grype', 'failed', 'database_unavailable'],
      ['syft', 'succeeded', undefined],
    ])
    const { data } = await api.get<{ data: object }>(`/api/images/${listed.imageId}`)
    expect(data).toMatchObject({ grade: null, riskScore: null, vulnerabilities: { critical: null } })
  })

  it("has no grype: the scan is partial, with trivy's findings", async () => {
    const [api, served] = [await anOrganization(), await aRegistry()]
    const registry = await connectSensed(api, served.host)
    const enginesDir = join(work, 'without-grype')
    const { trivy, syft } = system.engines
    writeWitnesses(enginesDir, { trivy, syft }, system.wordsDir)
    await sensors.start(api, registry, { name: 'without-grype', enginesDir })
    const scan = await ended(api, await requestScan(api, reference(registry)))
    expect(scan).toMatchObject({ status: 'COMPLETE', partial: true })
    const engines = scan.engines.map(({ name, status, reason }) => [name, status, reason?.code])
    expect(engines).toEqual([
      ['trivy', 'succeeded', undefined],
      ['grype', 'unavailable', 'engine_unavailable'],
      ['syft', 'succeeded', undefined],
    ])
    const sources = (await findingsOf(api, scan.id)).map((finding) => finding.sources.join('+'))
    expect(new Set(sources)).toEqual(new Set(['trivy']))
  })

  it('offers none of the engines asked for: FAILED engine_unavailable', async () => {
    const [api, registry] = [await anOrganization(), await aRegistry()]
    await connectRegistry(api, registry.host)
    const scan = await ended(api, await requestScan(api, reference(registry), { scanners: ['dockle'] }))
    expect(scan).toMatchObject({ status: 'FAILED', reason: { code: 'engine_unavailable' } })
  })
})

describe('what does not come back', () => {
  it.each([
    { registry: 'down', code: 'registry_unreachable' },
    { registry: 'silent', code: 'registry_unreachable' },
    { registry: 'broken', code: 'registry_error' },
  ] as const)('a registry that is $registry ends its scan FAILED $code', async ({ registry, code }) => {
    const { api, scanId } = patient[registry]!
    expect(await ended(api, scanId)).toMatchObject({ status: 'FAILED', reason: { code }, counts: null })
  })

  it('a runner killed while it works loses its lease, and another one finishes the scan', async () => {
    const scan = await ended(lost.api, lost.scanId, LEASE_LIMIT_MS)
    expect(scan).toMatchObject({ status: 'COMPLETE', partial: false, reason: null })
    expect(await findingsOf(lost.api, lost.scanId)).not.toHaveLength(0)
  })
})
