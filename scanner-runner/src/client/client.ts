import { z } from 'zod'
import {
  HeartbeatReply,
  type HeartbeatRequest,
  Job,
  type JobStatusRequest,
  ProtocolId,
  RegisterReply,
  type RegisterRequest,
  UploadReply,
} from '../../../src/scanning/sensors/protocol.ts'
import type { Log } from '../log.ts'
import { type Endpoint, request } from './request.ts'

const SECOND = 1000
const UPLOAD_TIMEOUT_MS = 300 * SECOND // 90 MB over a slow line
const UPLOAD_ATTEMPTS = 8 // with backoff about two minutes: a deploy or a restart of the server
const STATUS_ATTEMPTS = 5

/** A job handed out in a form that this runner does not understand; `id` and `fence` as far as they can be read. */
interface UnreadableJob {
  id: string
  fence: number | undefined
}

export interface Poll {
  jobs: Job[]
  unreadable: UnreadableJob[]
  cancelJobs: string[]
}

/** The server's side of the lease protocol. Every method rejects with ServerRefused or a network error. */
export interface Client {
  /** Tries until the server answers or `signal` stops it. */
  register(body: RegisterRequest, signal: AbortSignal): Promise<RegisterReply>
  heartbeat(body: HeartbeatRequest, signal: AbortSignal): Promise<HeartbeatReply>
  /** `waitSeconds` is how long a server that can may hold the reply until there is a job. */
  poll(agentId: string, waitSeconds: number, signal: AbortSignal): Promise<Poll>
  putBlob(job: JobHold, blob: Blob, signal: AbortSignal): Promise<void>
  upload(envelope: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<UploadReply>
  status(jobId: string, body: JobStatusRequest, timeoutMs: number, signal: AbortSignal): Promise<void>
}

interface JobHold {
  id: string
  fence: number
}

export interface Blob {
  sha256: string
  content: Uint8Array<ArrayBuffer>
  mediaType: string
}

const PollReply = z.object({ jobs: z.array(z.unknown()), cancelJobs: z.array(z.string()).optional() })
const Readable = z.object({
  id: ProtocolId,
  lease: z.object({ fence: z.int().positive() }).optional(),
})

export function createClient(endpoint: Endpoint, log: Log): Client {
  const retrying = (call: string) => ({
    onRetry: (error: Error, waitMs: number) => log.warn('call_retried', { call, error, waitMs }),
  })
  return {
    async register(body, signal) {
      const path = '/api/agent/register'
      const common = {
        timeoutMs: 30 * SECOND,
        attempts: Number.POSITIVE_INFINITY,
        signal,
        ...retrying('register'),
      }
      return RegisterReply.parse(await request(endpoint, { method: 'POST', path, body, ...common }))
    },
    async heartbeat(body, signal) {
      const path = '/api/agent/heartbeat'
      const reply = await request(endpoint, {
        method: 'POST',
        path,
        body,
        timeoutMs: 15 * SECOND,
        attempts: 1,
        signal,
      })
      const parsed = HeartbeatReply.safeParse(reply)
      return parsed.success ? parsed.data : { jobs: [] } // a plain sensor's server answers without jobs
    },
    async poll(agentId, waitSeconds, signal) {
      const wait = waitSeconds > 0 ? `&wait=${waitSeconds}` : ''
      const path = `/api/agent/jobs?agentId=${encodeURIComponent(agentId)}${wait}`
      return readPoll(
        await request(endpoint, { method: 'GET', path, timeoutMs: 60 * SECOND, attempts: 1, signal }),
      )
    },
    async putBlob(job, { sha256, content, mediaType }, signal) {
      const path = `/api/agent/jobs/${job.id}/blobs/${sha256}?fence=${job.fence}`
      const limits = { timeoutMs: UPLOAD_TIMEOUT_MS, attempts: UPLOAD_ATTEMPTS, signal, ...retrying('blob') }
      await request(endpoint, { method: 'PUT', path, bytes: { content, mediaType }, ...limits })
    },
    async upload(envelope, signal) {
      const limits = {
        timeoutMs: UPLOAD_TIMEOUT_MS,
        attempts: UPLOAD_ATTEMPTS,
        signal,
        ...retrying('upload'),
      }
      const bytes = { content: envelope, mediaType: 'application/json' }
      const path = '/api/scans/upload'
      return UploadReply.parse(await request(endpoint, { method: 'POST', path, bytes, ...limits }))
    },
    async status(jobId, body, timeoutMs, signal) {
      const path = `/api/agent/jobs/${jobId}/status`
      const limits = { timeoutMs, attempts: STATUS_ATTEMPTS, signal, ...retrying('status') }
      await request(endpoint, { method: 'POST', path, body, ...limits })
    },
  }
}

/** Each job is read on its own, so that one in an unknown form does not cost the others. */
function readPoll(reply: unknown): Poll {
  const { jobs: listed, cancelJobs = [] } = PollReply.parse(reply)
  const jobs: Job[] = []
  const unreadable: UnreadableJob[] = []
  for (const entry of listed) {
    const job = Job.safeParse(entry)
    if (job.success) jobs.push(job.data)
    else {
      const known = Readable.safeParse(entry)
      if (known.success) unreadable.push({ id: known.data.id, fence: known.data.lease?.fence })
    }
  }
  return { jobs, unreadable, cancelJobs }
}
