import type { Job } from '../../src/scanning/sensors/protocol.ts'
import { aFakeRegistry } from '../fake-registry.ts'
import { aResult } from '../risk/results.ts'
import { sensorEnvelope } from '../scanning/foreign/go-sensor.ts'
import { FakeRunner } from './fake-runner.ts'
import type { Operation, Story } from './story.ts'
import { MINUTE } from './system.ts'
import { expectStatus, retrying } from './tenant.ts'

const destroy = (path: (story: Story) => string) => async (story: Story) =>
  expectStatus(await retrying(story.system, () => story.tenant.call('DELETE', path(story))), 200, 404)

const deleteScan = destroy(({ scanId }) => `/api/scans/${scanId}`)
const deleteRegistry = destroy(({ tenant }) => `/api/registries/${tenant.registryId}`)

const scheduleDaily = ({ system, tenant }: Story, tags: string) =>
  tenant.rows(
    "UPDATE registries SET schedule = 'daily', next_run_at = ?, sync_started_at = ?, include_tags = ? WHERE id = ?",
    ...[system.now, system.now, tags, tenant.registryId],
  )

const nothing = async () => {}

/** A result that a pipeline uploads by itself, with the organization's key. */
const uploadAlone = async ({ system, tenant }: Story) => {
  const { fence: _, ...result } = aResult({ packages: 12, findings: 9, jobId: 'pipeline-1' })
  const upload = () => tenant.call('POST', '/api/scans/upload', result)
  expectStatus(await retrying(system, upload), 200, 201)
}

const sensors = new WeakMap<Story, { runner: FakeRunner; job: Job }>()

/** A registry whose sensor speaks the old protocol, and a job that it has. */
const claimBySensor = async (story: Story) => {
  const { system, tenant } = story
  const { host } = await aFakeRegistry('open')
  tenant.names[host] = 'SENSED'
  const made = await tenant.call('POST', '/api/registries', {
    ...{ name: 'sensed', provider: 'DOCKER_REGISTRY', url: host, insecure: true, schedule: 'manual' },
    scanMethod: 'sensor',
  })
  const runner = await FakeRunner.sensor(system, expectStatus(made, 201).body.data.sensorApiKey)
  const asked = { image: `${host}/team/app:1.0`, scanners: ['trivy', 'grype', 'syft'] }
  expectStatus(await tenant.call('POST', '/api/scans', asked), 202)
  await story.deliver()
  sensors.set(story, { runner, job: (await runner.poll())! })
}

const uploadBySensor = async (story: Story) => {
  const { runner, job } = sensors.get(story)!
  const envelope = sensorEnvelope({ id: job.id, ref: job.scan.imageRef, trivy: {}, grype: {}, syft: {} })
  const upload = () => runner.send('POST', '/api/scans/upload', envelope)
  expectStatus(await retrying(story.system, upload), 200, 201)
}

/** Each operation of the main path, from the state in which it happens. */
export const OPERATIONS: Record<string, Operation> = {
  request: { before: nothing, run: (story) => story.request() },
  dispatch: { before: (story) => story.request(), run: (story) => story.deliver() },
  claim: {
    before: async (story) => {
      await story.request()
      await story.deliver()
    },
    run: (story) => story.claim(),
  },
  renew: { before: (story) => story.claimed(), run: (story) => story.runner.renew(story.job) },
  blobs: { before: (story) => story.claimed(), run: (story) => story.runner.putBlobs(story.job!) },
  upload: {
    before: async (story) => {
      await story.claimed()
      await story.runner.renew(story.job)
      await story.runner.putBlobs(story.job!)
    },
    run: async (story) => expectStatus(await story.runner.upload(story.job!), 200),
  },
  'upload that no job asked for': { before: nothing, run: uploadAlone },
  'upload without a lease': { before: claimBySensor, run: uploadBySensor },
  ingest: { before: (story) => story.uploaded(), run: (story) => story.deliver() },
  'report of failure': {
    before: (story) => story.claimed(),
    run: async (story) => expectStatus(await story.runner.report(story.job!, 'failed'), 204),
  },
  'report of release': {
    before: (story) => story.claimed(),
    run: async (story) => expectStatus(await story.runner.report(story.job!, 'released'), 204, 409),
  },
  'cancel of a running scan': {
    before: async (story) => {
      await story.claimed()
      await story.runner.putBlobs(story.job!)
    },
    run: deleteScan,
  },
  'delete of a scan': {
    before: async (story) => {
      await story.uploaded()
      await story.finish()
    },
    run: deleteScan,
  },
  'delete of a registry': {
    before: async (story) => {
      await story.uploaded()
      await story.deliver()
      await story.request('team/app:1.1')
    },
    run: deleteRegistry,
  },
  'sweeps of the cron': {
    before: async (story) => {
      await story.claimed()
      await story.request('team/app:1.1')
      story.system.queue.length = 0
      await scheduleDaily(story, 'none of them')
      story.system.advance(10 * MINUTE)
      await story.runner.renew(null)
    },
    run: (story) => story.system.tick(),
    stride: 4,
  },
  'start of scheduled scans': {
    before: async (story) => {
      await story.uploaded()
      await story.finish()
      await scheduleDaily(story, '*')
      await story.system.tick()
    },
    run: (story) => story.deliver(),
  },
  'sync of a registry': {
    before: nothing,
    run: async (story) => {
      const { system, tenant } = story
      const sync = () => tenant.call('POST', `/api/registries/${tenant.registryId}/sync`)
      expectStatus(await retrying(system, sync), 202)
      await system.drain()
    },
  },
  'removal of what a registry had': {
    before: async (story) => {
      await story.uploaded()
      await story.deliver()
      await story.request('team/app:1.1')
      await deleteRegistry(story)
    },
    run: (story) => story.system.drain(),
  },
}
