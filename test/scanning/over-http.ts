import { expect } from 'vitest'
import type { Job } from '../../src/scanning/sensors/protocol.ts'
import { aFakeRegistry, FAKE_CREDENTIALS, type FakeMode } from '../fake-registry.ts'
import { type Caller, caller, type TestOrganization, theOperator } from '../world.ts'
import { deliver } from './deliver.ts'
import { resultFor } from './world.ts'

/** The way of a scan over HTTP: a registry, a runner, and what passes between them and the Worker. */

const KEY_PAIR = { name: 'ECDH', namedCurve: 'P-256' }

export interface HttpRunner extends Caller {
  agentId: string
}

/** A registered runner that speaks to the Worker over HTTP. */
export async function aHttpRunner(key?: string): Promise<HttpRunner> {
  const runnerKey = key ?? (await theOperator.post('/operator/runners', { name: 'r' })).body.data.key
  const client = caller(runnerKey)
  const pair = (await crypto.subtle.generateKey(KEY_PAIR, true, ['deriveBits'])) as CryptoKeyPair
  const { x, y } = (await crypto.subtle.exportKey('jwk', pair.publicKey)) as JsonWebKey
  const registered = await client.post('/api/agent/register', {
    name: 'runner',
    version: '1.0.0',
    scannerVersions: { trivy: '0.69', grype: '0.104', syft: '1.38' },
    capabilities: ['scan', 'lease', 'blobs', 'progress', 'sealed-credentials'],
    protocolVersion: 1,
    concurrency: 8,
    publicKey: { kty: 'EC', crv: 'P-256', x, y },
    extra: 'members that this server does not know are ignored',
  })
  expect(registered.status, registered.text).toBe(200)
  return { ...client, agentId: registered.body.agentId }
}

export async function connected(ours: TestOrganization, mode: FakeMode = 'open', change = {}) {
  const registry = await aFakeRegistry(mode)
  const withCredentials = mode === 'basic' || mode === 'token' ? { credentials: FAKE_CREDENTIALS } : {}
  const made = await ours.post('/api/registries', {
    name: mode,
    provider: 'DOCKER_REGISTRY',
    url: registry.host,
    insecure: true,
    schedule: 'manual',
    ...withCredentials,
    ...change,
  })
  expect(made.status, made.text).toBe(201)
  return { ...registry, ...(made.body.data as { id: string; sensorApiKey?: string }) }
}

export const ask = (client: Caller, image: string, more = {}) =>
  client.post('/api/scans', { image, scanners: ['trivy', 'grype', 'syft'], ...more })

export async function dispatched(ours: TestOrganization, image: string): Promise<string> {
  const asked = await ask(ours, image)
  expect(asked.status, asked.text).toBe(202)
  await deliver({ kind: 'scan.dispatch', org: ours.organization.num, scanId: asked.body.scanId })
  return asked.body.scanId
}

export const poll = async (runner: HttpRunner): Promise<Job> => {
  const answer = await runner.get(`/api/agent/jobs?agentId=${runner.agentId}`)
  expect(answer.status, answer.text).toBe(200)
  return answer.body.jobs[0]
}

const sha256 = async (text: string) =>
  Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('')

export const putText = async (runner: HttpRunner, job: Job, text: string, fence = job.lease.fence) => {
  const digest = await sha256(text)
  const answer = await runner.send('PUT', `/api/agent/jobs/${job.id}/blobs/${digest}?fence=${fence}`, {
    body: text,
    headers: { 'Content-Type': 'application/json', 'Content-Length': String(text.length) },
  })
  return { ...answer, digest }
}

export const send = (runner: HttpRunner, body: unknown) => {
  const text = JSON.stringify(body)
  const headers = { 'Content-Type': 'application/json', 'Content-Length': String(text.length) }
  return runner.send('POST', '/api/scans/upload', { body: text, headers })
}

/** The whole way of one scan, with an SBOM and an engine's output. */
export async function aCompleteScan(ours: TestOrganization, runner: HttpRunner, image: string) {
  const scanId = await dispatched(ours, image)
  const job = await poll(runner)
  const sbom = `{"bomFormat":"CycloneDX","scan":"${scanId}"}`
  const raw = `{"Results":[],"scan":"${scanId}"}`
  const named = [await putText(runner, job, sbom), await putText(runner, job, raw)]
  const result = resultFor(job)
  result.sboms = [
    { format: 'cyclonedx', sha256: named[0]!.digest, size: sbom.length, mediaType: 'text/html' },
  ]
  result.engines[0]!.raw = { sha256: named[1]!.digest, size: raw.length }
  const uploaded = await send(runner, result)
  expect(uploaded.status, uploaded.text).toBe(200)
  await deliver({ kind: 'scan.ingest', org: ours.organization.num, scanId })
  return { scanId, job, sbom, raw, sbomDigest: named[0]!.digest }
}
