import { z } from 'zod'
import { Digest, EngineName, Reason } from './result.ts'

/**
 * The lease protocol between the Worker and its runners: the public sensor's paths and messages, extended.
 * This file and `result.ts` are the only ones that the runner takes from the Worker.
 *
 * | job state | claim            | heartbeat, blobs   | upload             | status failed | lease expires        |
 * |-----------|------------------|--------------------|--------------------|---------------|----------------------|
 * | queued    | leased, fence+1  | 409 lease_lost     | 409 lease_lost     | 409           | –                    |
 * | leased    | –                | renewed, same fence| uploaded (+outbox) | done (FAILED) | queued, or done (runner_lost) after MAX_LEASES |
 * | uploaded  | –                | 409 lease_lost     | same answer again  | ignored, 204  | –                    |
 * | done      | –                | cancel / 409       | same answer again  | ignored, 204  | –                    |
 *
 * A call whose fence is not the job's current one is answered 409 `lease_lost` and changes nothing.
 *
 * An agent without the capability `lease` is the public sensor: it gets plain jobs, knows no fence, and its proof is
 * its key and the job id. Its claim lives as long as it is heard of, a poll hands the job that it still holds out
 * again, an upload wins over everything said about the job, and no call of it is answered 409.
 *
 * Versions: a runner names the highest it speaks and the server answers with its own; both speak the lower one.
 * What lies beside the version is negotiated by capabilities: each side names what it has and uses what both have.
 *
 * Blobs: `PUT /api/agent/jobs/{id}/blobs/{sha256}?fence={fence}` with the bytes as body, Content-Length and a
 * Content-Type; any 2xx means that they are stored, also when they already were. The poll is
 * `GET /api/agent/jobs?agentId={agentId}`, with `&wait={seconds}` where both sides have the capability `wait`: the
 * reply is then held until there is a job, at most so long. A failed pull is reported by an upload with `image: null`.
 */
export * from './result.ts'

export const PROTOCOL_VERSION = 1
export const MIN_PROTOCOL_VERSION = 1 // a runner below is refused with runner_too_old; the public sensor names none
export const LEASE_SECONDS = 120 // four missed heartbeats
export const HEARTBEAT_SECONDS = 30 // the public sensor's interval
export const MAX_LEASES = 3 // a job that loses this many runners fails with runner_lost
export const MAX_UPLOAD_BYTES = 90 * 1024 * 1024 // below the platform's 100 MB body limit
export const MAX_BLOB_BYTES = 90 * 1024 * 1024 // the same limit: one request, one blob

export const CAPABILITIES = ['scan', 'lease', 'blobs', 'progress', 'sealed-credentials', 'wait'] as const

/** The heartbeat's status of a runner that takes no more jobs: a poll of it that is held is answered. */
export const STOPPING = 'stopping'

export const MAX_LABELS = 20
/** What a runner says about its place ("gpu", "zone=eu"); a registry may ask for all of some. */
export const RunnerLabel = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.=/-]{0,62}$/)
export const RunnerLabels = z.array(RunnerLabel).max(MAX_LABELS)
export const MAX_CONCURRENCY = 64

/** Ids of agents and jobs: the public sensor puts them unescaped into paths and directory names. */
export const ProtocolId = z.string().regex(/^[A-Za-z0-9_-]{1,200}$/)

export const PublicJwk = z.object({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  y: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
})
export type PublicJwk = z.infer<typeof PublicJwk>

/** Free text of a foreign program: what is too long is cut, never refused. */
const free = (length: number) => z.string().transform((given) => given.slice(0, length))

export const RegisterRequest = z.object({
  name: free(256),
  version: free(64),
  hostname: free(256).default(''),
  os: free(64).default(''),
  arch: free(64).default(''),
  scannerVersions: z.record(z.string().max(64), free(512)).default({}),
  capabilities: z.array(z.string().max(64)).max(32).default(['scan']),
  s3Configured: z.boolean().optional(),
  protocolVersion: z.int().nonnegative().optional(),
  publicKey: PublicJwk.optional(),
  labels: RunnerLabels.optional().describe(
    'A job that asks for labels goes only to runners with all of them',
  ),
  concurrency: z
    .int()
    .min(1)
    .max(MAX_CONCURRENCY)
    .optional()
    .describe('Jobs that it takes at one time; 1 when absent'),
})
export type RegisterRequest = z.infer<typeof RegisterRequest>
export const RegisterReply = z.object({
  agentId: ProtocolId,
  protocolVersion: z.int().optional().describe('The highest version that the server speaks'),
  capabilities: z.array(z.string()).optional().describe('What the server speaks'),
})
export type RegisterReply = z.infer<typeof RegisterReply>

export const PHASES = ['queued', 'resolving', 'pulling', 'scanning', 'ingesting', 'done'] as const
export const Phase = z.enum(PHASES)
export type Phase = z.infer<typeof Phase>

/** How far a job is. `progress` is 0–100 of the whole scan, never falling. */
export const JobProgress = z.object({
  phase: z.enum(['pulling', 'scanning', 'ingesting']),
  progress: z.int().min(0).max(100),
  engines: z
    .array(
      z.object({
        name: EngineName,
        status: z.enum(['pending', 'running', 'succeeded', 'failed', 'unavailable', 'skipped']),
      }),
    )
    .max(16)
    .default([]),
})
export type JobProgress = z.infer<typeof JobProgress>

export const HeartbeatRequest = z.object({
  agentId: z.string().max(200).nullish(),
  status: z.string().max(64).nullish(),
  activeScans: z.number().nullish(),
  uptimeSeconds: z.number().nullish(),
  jobs: z
    .array(z.object({ id: ProtocolId, fence: z.int().positive(), progress: JobProgress.optional() }))
    .max(64)
    .default([]),
})
export type HeartbeatRequest = z.infer<typeof HeartbeatRequest>

/** One entry for each job named in the request: `leaseSeconds: 0` means the lease is lost, `cancel` that it should stop. */
export const HeartbeatReply = z.object({
  jobs: z.array(z.object({ id: ProtocolId, leaseSeconds: z.int().nonnegative(), cancel: z.boolean() })),
})
export type HeartbeatReply = z.infer<typeof HeartbeatReply>

/**
 * What the sealed credentials hold once opened (compact JWE, ECDH-ES + A256GCM). The protected header carries
 * `job`, `fence`, `runner`, `host` and `exp` (seconds since 1970); a runner refuses one that is not for its job.
 */
export const SealedCredentials = z.object({ username: z.string(), password: z.string() })
export type SealedCredentials = z.infer<typeof SealedCredentials>

/** What an agent without leases gets: exactly these members, each of exactly this type. */
export const PlainJob = z.object({
  id: ProtocolId,
  type: z.literal('scan'),
  createdAt: z.string(),
  scan: z.object({
    imageRef: z.string().describe('host[:port]/repository:tag or @digest, complete'),
    source: z.literal('registry'),
    scanners: z.array(z.string()),
  }),
})
export type PlainJob = z.infer<typeof PlainJob>

export const Job = PlainJob.extend({
  lease: z.object({ fence: z.int().positive(), seconds: z.int().positive() }),
  platform: z.string().describe('os/arch[/variant] asked for'),
  digest: Digest.nullable().describe('Of the manifest to scan; null when the runner resolves the tag itself'),
  indexDigest: Digest.nullable(),
  insecure: z.boolean().describe('plain http allowed, certificates not verified'),
  credentials: z.string().nullable().describe('Compact JWE for the registered public key; null for none'),
})
export type Job = z.infer<typeof Job>

export const JobsReply = z.object({
  jobs: z.array(z.union([Job, PlainJob])),
  cancelJobs: z.array(ProtocolId).optional(),
})
export type JobsReply = z.infer<typeof JobsReply>

export const JobStatusRequest = z.object({
  status: z
    .enum(['completed', 'failed', 'cancelled', 'released'])
    .describe('released: handed back, unfinished'),
  fence: z.int().positive().nullish().describe('Of the lease; an agent without leases has none'),
  error: z.string().nullish().describe('Cut when it is stored, never refused for its length'),
  reason: Reason.nullish(),
})
export type JobStatusRequest = z.infer<typeof JobStatusRequest>

export const UploadReply = z.object({
  ok: z.literal(true),
  success: z.literal(true).optional(),
  scanId: z.string(),
  imageId: z.string().nullable(),
})
export type UploadReply = z.infer<typeof UploadReply>

/** Error body of the agent routes, un-enveloped. `lease_lost` (409) tells a runner to drop the job at once. */
export const AgentProblem = z.object({ error: z.string(), code: z.string() })
