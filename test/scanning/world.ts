import { env } from 'cloudflare:workers'
import { expect } from 'vitest'
import { REGISTERED_AGENT_SQL, type RegisteredAgent } from '../../src/auth/credentials.ts'
import type { BaseContext, Context, Organization } from '../../src/context.ts'
import { type Param, type Statement, statement } from '../../src/db/database.ts'
import { directoryDb, newMeter, placedDb, shardNames, tenantDb } from '../../src/db/shards.ts'
import type { Env } from '../../src/env.ts'
import { newId } from '../../src/ids.ts'
import type { WorkMessage } from '../../src/queue.ts'
import { reason } from '../../src/scanning/reasons.ts'
import type { RegistryAccess } from '../../src/scanning/registry-access.ts'
import { dispatchScan } from '../../src/scanning/scans/dispatch.ts'
import { ingestScan } from '../../src/scanning/scans/ingest.ts'
import { requestScan } from '../../src/scanning/scans/request.ts'
import { pollJob } from '../../src/scanning/sensors/hand-out.ts'
import type { EngineName, Job, Result } from '../../src/scanning/sensors/protocol.ts'
import { receiveUpload } from '../../src/scanning/sensors/receive-upload.ts'
import { registerAgent } from '../../src/scanning/sensors/register.ts'
import type { RunnerIdentity } from '../../src/scanning/sensors/runner-identity.ts'
import { takeUpload } from '../../src/scanning/sensors/take-upload.ts'
import { aResult, type ResultShape } from '../risk/results.ts'
import { anOrganization } from '../world.ts'

export const T0 = Date.UTC(2026, 10, 21, 12)
export const MINUTE = 60_000
export const HOUR = 60 * MINUTE

/** An organization with one registry, and a clock that the test sets. */
export interface World {
  organization: Organization
  registryId: string
  host: string
  /** What was sent to the queue: the test hands it on itself. */
  sent: WorkMessage[]
  at(now: number): Context
  rows<Row = Record<string, never>>(sql: string, ...params: Param[]): Promise<Row[]>
}

/** The bindings with a queue that only remembers. */
function quiet(sent: WorkMessage[]): Env {
  const queue = {
    sendBatch: async (batch: Iterable<{ body: WorkMessage }>) => {
      for (const { body } of batch) sent.push(body)
    },
  }
  return new Proxy(env as unknown as Env, {
    get: (target, name, receiver) => (name === 'WORK' ? queue : Reflect.get(target, name, receiver)),
  })
}

const waiting: Promise<unknown>[] = []

/** Waits for everything that was deferred. */
export async function settle(): Promise<void> {
  while (waiting.length > 0) await waiting.shift()
}

export function baseAt(now: number, sent: WorkMessage[] = []): BaseContext {
  return {
    env: quiet(sent),
    requestId: 'req_test',
    now,
    ip: null,
    directory: directoryDb(env as unknown as Env, newMeter()),
    defer: (work) => {
      work.catch(() => {}) // settle tells
      waiting.push(work)
    },
  }
}

export async function aWorld(method: 'cloud' | 'sensor' = 'cloud'): Promise<World> {
  const { organization } = await anOrganization()
  const registryId = newId('registry')
  const host = `${registryId.slice(4)}.registry.test`
  const sent: WorkMessage[] = []
  const db = () => placedDb(env as unknown as Env, organization.shard, newMeter())
  await db().run(registryRow(organization.num, registryId, host, method))
  return {
    organization,
    registryId,
    host,
    sent,
    at: (now) => {
      const base = baseAt(now, sent)
      return {
        ...base,
        organization,
        actor: { kind: 'api_key', id: 'key_test', role: 'ci' },
        db: placedDb(base.env, organization.shard, base.directory.meter),
        rememberReply: () => [],
      }
    },
    rows: (sql, ...params) => db().all(statement(sql, ...params)),
  }
}

const registryRow = (org: number, id: string, host: string, method: string): Statement =>
  statement(
    `INSERT INTO registries (id, num, org, name, provider, url, host, path_prefix, insecure, scan_method, scanners,
                             schedule, status, created_at, updated_at)
     VALUES (?, (SELECT coalesce(max(num), 0) + 1 FROM registries), ?, 'test', 'CUSTOM', ?, ?, '', 1, ?,
             '["trivy","grype","syft"]', 'manual', 'ACTIVE', 0, 0)`,
    id,
    org,
    `http://${host}`,
    host,
    method,
  )

/** Digest that a name stands for: equal names are equal manifests. */
export const digestOf = (name: string): string =>
  `sha256:${Array.from(new TextEncoder().encode(name), (byte) => byte.toString(16))
    .join('')
    .padStart(64, '0')
    .slice(-64)}`

/** Registries that resolve every reference; `tags` says which manifest a tag names, else its own. */
export const accessTo = (tags: Record<string, string> = {}): RegistryAccess => ({
  resolveImage: async (_ctx, _registry, repository, reference, platform) => {
    const shown = platform ?? 'linux/amd64'
    const name = tags[`${repository}:${reference}`] ?? `${repository}:${reference}`
    const digest = digestOf(`${name} ${shown}`)
    return {
      kind: 'resolved',
      image: { indexDigest: digestOf(`index ${name}`), digest, platform: shown, platforms: [shown] },
    }
  },
  pullCredentials: async () => null,
})

/** Registries that do not answer at this moment. */
export const accessDown: RegistryAccess = {
  resolveImage: async () => ({ kind: 'unavailable', reason: reason('registry_error'), seconds: null }),
  pullCredentials: async () => null,
}

const ALL: readonly EngineName[] = ['trivy', 'grype', 'syft']

export interface Wish {
  image?: string
  at?: number
  scanners?: readonly EngineName[]
  trigger?: 'manual' | 'schedule'
  access?: RegistryAccess
}

/** Asks for a scan and dispatches it. */
export async function aScan(world: World, wish: Wish = {}): Promise<string> {
  const { image = 'team/app:1.0', at = T0, scanners = ALL, trigger = 'manual', access = accessTo() } = wish
  const asked = { image: `${world.host}/${image}`, scanners, trigger }
  const { scanId } = await requestScan(world.at(at), asked)
  await dispatchScan(world.at(at), scanId, 1, access)
  await settle()
  return scanId
}

/** What a runner registers beside its engines. */
export interface RunnerTerms {
  labels?: string[] | undefined
  concurrency?: number | undefined
}

export interface Runner {
  identity: RunnerIdentity
  agentId: string
  poll(at?: number): Promise<Job | null>
}

/** A registered runner with a key pair of its own: of the cloud, or the sensor of a world's registry. */
export async function aRunner(
  options: { world?: World; engines?: readonly string[]; at?: number } & RunnerTerms = {},
): Promise<Runner> {
  const { world, engines = ALL, at = T0, labels, concurrency = 64 } = options
  const identity: RunnerIdentity = {
    credentialId: newId('apiKey'),
    pool: world?.registryId ?? 'cloud',
    org: world?.organization.num ?? null,
    registryId: world?.registryId ?? null,
    shard: world?.organization.shard ?? null,
  }
  const agentId = await register(identity, engines, at, { labels, concurrency })
  return {
    identity,
    agentId,
    poll: async (now = T0) => {
      const base = baseAt(now)
      const agent = await base.directory.first<RegisteredAgent>(
        statement(
          `SELECT a.id, ${REGISTERED_AGENT_SQL} FROM agents a WHERE a.id = ? AND a.credential_id = ?`,
          agentId,
          identity.credentialId,
        ),
      )
      const [job] = await pollJob(base, identity, agent, accessTo())
      return (job as Job | undefined) ?? null
    },
  }
}

export async function register(
  identity: RunnerIdentity,
  engines: readonly string[],
  at: number,
  terms: RunnerTerms = {},
): Promise<string> {
  const pair = (await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, true, [
    'deriveBits',
  ])) as CryptoKeyPair
  const { x, y } = (await crypto.subtle.exportKey('jwk', pair.publicKey)) as JsonWebKey
  const { agentId } = await registerAgent(baseAt(at), identity, {
    name: 'runner',
    version: '1.0.0',
    hostname: 'host',
    os: 'linux',
    arch: 'amd64',
    scannerVersions: Object.fromEntries(engines.map((name) => [name, '1.0'])),
    capabilities: ['scan', 'lease', 'blobs', 'progress', 'sealed-credentials'],
    protocolVersion: 1,
    publicKey: { kty: 'EC', crv: 'P-256', x: x!, y: y! },
    ...terms,
  })
  return agentId
}

/** A result for a job, as its runner would make it. */
export const resultFor = (job: Job, shape: ResultShape = {}): Result => {
  const digest = job.digest ?? digestOf(job.scan.imageRef)
  const made = aResult({ packages: 12, findings: 9, jobId: job.id, fence: job.lease.fence, digest, ...shape })
  return { ...made, image: made.image && { ...made.image, platform: job.platform } }
}

/** Uploads a document as a runner does. */
export async function upload(runner: Runner, body: unknown, at = T0 + MINUTE, sent: WorkMessage[] = []) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const request = new Request('https://api.test/api/scans/upload', {
    method: 'POST',
    body: text,
    headers: { 'Content-Length': String(new TextEncoder().encode(text).length) },
  })
  const { reply } = await takeUpload(baseAt(at, sent), runner.identity, await receiveUpload(request))
  await settle()
  return reply
}

/** Uploads a result and has it ingested. */
export async function complete(
  world: World,
  runner: Runner,
  job: Job,
  shape: ResultShape = {},
  at = T0 + MINUTE,
): Promise<void> {
  const { scanId } = await upload(runner, resultFor(job, shape), at)
  await ingestScan(world.at(at), await jobIdOf(world, scanId))
}

export async function jobIdOf(world: World, scanId: string): Promise<string> {
  const [row] = await world.rows<{ id: string }>('SELECT id FROM jobs WHERE scan_id = ?', scanId)
  return row!.id
}

export interface ScanState {
  status: string
  reason: string | null
  leader_id: string | null
  job_id: string | null
  deadline_at: number | null
  partial: number
}

export async function scanState(world: World, scanId: string): Promise<ScanState & { code: string | null }> {
  const [row] = await world.rows<ScanState>('SELECT * FROM scans WHERE id = ?', scanId)
  expect(row, `scan ${scanId}`).toBeDefined()
  return { ...row!, code: row!.reason === null ? null : (JSON.parse(row!.reason) as { code: string }).code }
}

export interface JobState {
  id: string
  state: string
  fence: number
  leases: number
  lease_until: number | null
  phase: string
  progress: number
  rank: number
  priority: number
  cancel: number
}

export async function jobState(world: World, scanId: string): Promise<JobState | null> {
  const rows = await world.rows<JobState>('SELECT * FROM jobs WHERE scan_id = ? OR id = ?', scanId, scanId)
  return rows[0] ?? null
}

/** Ends what other tests of the file left in the cloud's queue, and forgets their runners. */
export async function emptyPools(): Promise<void> {
  const bindings = env as unknown as Env
  for (const shard of shardNames(bindings)) {
    await tenantDb(bindings, shard, newMeter())!.run(statement("UPDATE jobs SET state = 'done'"))
  }
  await directoryDb(bindings, newMeter()).run(statement('DELETE FROM agents'))
}

/** The code that a runner's call is refused with, or null when it is not. */
export async function refusal(work: Promise<unknown>): Promise<string | null> {
  try {
    await work
    return null
  } catch (error) {
    const { detail, code } = error as { detail?: string; code?: string }
    if (!code) throw error
    return detail ?? code
  }
}
