import { expect } from 'vitest'
import { statement } from '../../src/db/database.ts'
import { goEnvelope } from './go-envelope.ts'
import { goEncode } from './go-json.ts'
import type { GoJob } from './go-sensor.ts'
import { aWarmSensor, type SensorWorld, theDirectory, twoEngines } from './sensor-world.ts'

/** Single calls of a sensor, for tests that send what the Go sensor sends at moments of their own. */

export const MINUTE = 60_000
export const WIRE_ID = /^[A-Za-z0-9_-]{1,200}$/
export const JSON_HEADERS = { 'Content-Type': 'application/json' }

export const envelopeOf = (job: GoJob, runs = twoEngines) =>
  goEnvelope(
    { id: job.id, imageRef: job.scan!.imageRef, startedAt: Date.now(), finishedAt: Date.now() },
    { trivy: '0.69.3' },
    runs,
  )

/** A body of `bytes` that goes on only when it is told to. */
export function heldBody(text: string) {
  let goOn = () => {}
  const told = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const bytes = new TextEncoder().encode(text)
  const cut = Math.floor(bytes.length / 2)
  const stream = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(bytes.slice(0, cut))
      await told
      controller.enqueue(bytes.slice(cut))
      controller.close()
    },
  })
  return { stream, length: bytes.length, goOn }
}

/** An envelope of at least so many bytes. */
export const padded = (job: GoJob, bytes: number) => {
  const envelope = envelopeOf(job) as { findings: { packages: unknown[] } }
  const one = { name: 'p', version: '1', type: 'npm', source: 'syft', purl: `pkg:npm/p@1#${'x'.repeat(400)}` }
  envelope.findings.packages.push(...Array.from({ length: Math.ceil(bytes / 480) }, () => one))
  return goEncode(envelope)
}

export function wireCalls(of: () => SensorWorld) {
  const post = (path: string, body: unknown) => of().wire.post(path, body)
  return {
    post,
    statusOf: (job: GoJob, body: unknown) => post(`/api/agent/jobs/${job.id}/status`, body),
    scanOf: async (scanId: string) => (await of().ours.get(`/api/scans/${scanId}`)).body.data,
    /** An upload as it is. */
    send: (body: BodyInit, headers: Record<string, string> = JSON_HEADERS) =>
      of().wire.send('POST', '/api/scans/upload', { body, headers }),
    /** The sensor was silent for so long that its lease ran out and the sweep saw it. */
    async lost(scanId: string) {
      await of().change('UPDATE jobs SET lease_until = 1 WHERE id = ?', scanId)
      await theDirectory().run(statement('UPDATE agents SET last_heartbeat_at = 1, registered_at = 1'))
      await of().sweep()
      expect((await of().job(scanId)).state).toBe('queued')
    },
    async aClaim(options = {}) {
      const scanId = await of().scan()
      const sensor = await aWarmSensor(of(), options)
      const [job] = await sensor.fetchJobs()
      expect(job).toBeDefined()
      return { scanId, sensor, job: job! }
    },
  }
}
