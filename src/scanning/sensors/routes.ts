import { z } from '@hono/zod-openapi'
import type { AgentContext } from '../../context.ts'
import { bodyAsSent, mediaTypeOf } from '../../http/body.ts'
import { endpoint, runners } from '../../http/endpoint.ts'
import { agent } from '../../http/faces.ts'
import { problem } from '../../http/problems.ts'
import { bare, noContent } from '../../http/reply.ts'
import { storedRegistries } from '../registry-access.ts'
import { callingAgent } from './calling-agent.ts'
import { pollJob } from './hand-out.ts'
import {
  HeartbeatReply,
  HeartbeatRequest,
  JobStatusRequest,
  JobsReply,
  ProtocolId,
  RegisterReply,
  RegisterRequest,
  Sha256Hex,
  UploadReply,
} from './protocol.ts'
import { putBlob } from './put-blob.ts'
import { receiveUpload } from './receive-upload.ts'
import { registerAgent } from './register.ts'
import { renewLeases } from './renew.ts'
import { reportStatus } from './report-status.ts'
import { runnerOf } from './runner-identity.ts'
import { takeUpload } from './take-upload.ts'
import { MAX_WAIT_SECONDS, waitForJob } from './wait-for-job.ts'

const tags = ['Runners']
const MAX_STATUS_BYTES = 16 * 1024 * 1024 // an error text may hold a whole reply; it is cut when stored

const id = ProtocolId.openapi({ description: "The job's id", example: '00-1-scn_5m8x1c7v0b2n9k4q3w6e' })
const JobParams = z.object({ id })
const BlobParams = JobParams.extend({
  sha256: Sha256Hex.openapi({
    description: "The body's SHA-256, hexadecimal",
    example: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  }),
})
const BlobQuery = z.object({
  fence: z
    .string()
    .regex(/^[1-9]\d{0,8}$/)
    .transform(Number)
    .openapi({ description: "The lease's fence", example: '1' }),
})
const PollQuery = z.object({
  agentId: z
    .string()
    .max(1000)
    .default('')
    .openapi({ description: 'As registration gave it', example: 'agt_2n5k9q3w6e4m8x1c7v0b' }),
  wait: z
    .string()
    .regex(/^\d{1,2}$/, 'must be whole seconds')
    .transform(Number)
    .refine((seconds) => seconds <= MAX_WAIT_SECONDS, `must be at most ${MAX_WAIT_SECONDS}`)
    .default(0)
    .openapi({
      type: 'integer',
      description: `Seconds that the reply may be held until there is a job, at most ${MAX_WAIT_SECONDS}; for agents with the capability \`lease\``,
      example: '25',
    }),
})

const pollAs = (agentId: string) => async (ctx: AgentContext) => {
  const runner = runnerOf(ctx)
  return pollJob(ctx, runner, await callingAgent(ctx, runner, agentId), storedRegistries)
}

const lengthOf = (request: Request): number | null => {
  const length = request.headers.get('Content-Length')
  return length !== null && /^\d{1,12}$/.test(length) ? Number(length) : null
}

export const agentRoutes = [
  endpoint(
    agent,
    runners,
    {
      method: 'post',
      path: '/api/agent/register',
      operationId: 'registerAgent',
      tags,
      summary: 'Register a runner process',
      description: 'The same key and public key is the same agent; another public key is another agent.',
      body: RegisterRequest,
      responses: { 200: { description: 'Registered', schema: RegisterReply } },
    },
    async (ctx, { body }) => bare(200, await registerAgent(ctx, runnerOf(ctx), body)),
  ),
  endpoint(
    agent,
    runners,
    {
      method: 'post',
      path: '/api/agent/heartbeat',
      operationId: 'heartbeat',
      tags,
      summary: 'Stay alive and extend leases',
      description:
        'Answers for each job how long its lease is and whether to stop it; 204 where none is named.',
      body: HeartbeatRequest,
      responses: {
        200: { description: 'Leases', schema: HeartbeatReply },
        204: { description: 'Heard; no job was named' },
      },
    },
    async (ctx, { body }) => {
      const reply = await renewLeases(ctx, runnerOf(ctx), body)
      return reply.jobs.length > 0 ? bare(200, reply) : noContent()
    },
  ),
  endpoint(
    agent,
    runners,
    {
      method: 'get',
      path: '/api/agent/jobs',
      operationId: 'pollJobs',
      tags,
      summary: 'Lease a job',
      description: 'At most one. Credentials are sealed to the public key that the agent registered.',
      query: PollQuery,
      responses: { 200: { description: 'A job, or none', schema: JobsReply } },
      problems: ['NOT_FOUND', 'SERVICE_UNAVAILABLE'],
    },
    async (ctx, { query, request }) =>
      bare(200, {
        jobs: await waitForJob(ctx, { seconds: query.wait, request }, pollAs(query.agentId)),
      }),
  ),
  endpoint(
    agent,
    runners,
    {
      method: 'put',
      path: '/api/agent/jobs/{id}/blobs/{sha256}',
      operationId: 'putBlob',
      tags,
      summary: 'Store a blob of a leased job',
      params: BlobParams,
      query: BlobQuery,
      responses: {
        200: { description: 'It was there already', schema: z.strictObject({ stored: z.literal(false) }) },
        201: { description: 'Stored', schema: z.strictObject({ stored: z.literal(true) }) },
      },
      problems: [
        'BAD_REQUEST',
        'CONFLICT',
        'PAYLOAD_TOO_LARGE',
        'UNSUPPORTED_MEDIA_TYPE',
        'SERVICE_UNAVAILABLE',
      ],
    },
    async (ctx, { params, query, request }) => {
      const outcome = await putBlob(ctx, runnerOf(ctx), {
        wireId: params.id,
        fence: query.fence,
        sha256: params.sha256,
        size: lengthOf(request),
        mediaType: request.headers.get('Content-Type') ?? '',
        body: bodyAsSent(request),
      })
      return outcome === 'stored' ? bare(201, { stored: true }) : bare(200, { stored: false })
    },
  ),
  endpoint(
    agent,
    runners,
    {
      method: 'post',
      path: '/api/agent/jobs/{id}/status',
      operationId: 'reportJobStatus',
      tags,
      summary: 'Report how a job ended, or hand it back',
      params: JobParams,
      body: JobStatusRequest,
      maxBodyBytes: MAX_STATUS_BYTES,
      responses: { 204: { description: 'Heard' } },
      problems: ['CONFLICT'],
    },
    async (ctx, { params, body }) => {
      await reportStatus(ctx, runnerOf(ctx), params.id, body)
      return noContent()
    },
  ),
  endpoint(
    agent,
    runners,
    {
      method: 'post',
      path: '/api/scans/upload',
      operationId: 'uploadResult',
      tags,
      summary: 'Upload the result of a scan',
      description:
        "A result envelope 1.1 for a lease; an envelope 1.0, or a legacy body of raw reports, for the job that the key claimed; either without a job. A result without a job is a scan of its own: of an image of the key's registry, with an organization's key of any image. Not packed. The same upload again is the same answer.",
      responses: {
        200: { description: 'Accepted; it is ingested in the background', schema: UploadReply },
        201: { description: 'Accepted as a scan of its own', schema: UploadReply },
      },
      problems: [
        'BAD_REQUEST',
        'VALIDATION_ERROR',
        'CONFLICT',
        'PAYLOAD_TOO_LARGE',
        'UNSUPPORTED_MEDIA_TYPE',
      ],
    },
    async (ctx, { request }) => {
      if ((mediaTypeOf(request) ?? 'application/json') !== 'application/json') {
        throw problem('UNSUPPORTED_MEDIA_TYPE')
      }
      const { status, reply } = await takeUpload(ctx, runnerOf(ctx), await receiveUpload(request))
      return bare(status, reply)
    },
  ),
]
