import type { Normalised } from '../../../src/scanning/normalise/index.ts'
import { type ReasonCode, reason, type ScanReason } from '../../../src/scanning/reasons.ts'
import type { EngineName, EngineRun, Job, Result } from '../../../src/scanning/sensors/protocol.ts'
import type { PulledImage } from '../pull/pull-image.ts'
import type { Sbom } from './read-sboms.ts'

const MAX_LOGS = 200
const MAX_LOG = 1000

export interface EnvelopeInput {
  job: Job
  sensor: Result['sensor']
  startedAt: Date
  finishedAt: Date
  image: PulledImage | null
  /** The engines that the job asks for: they decide whether the scan succeeded. */
  asked: readonly EngineName[]
  engines: EngineRun[]
  normalised: Normalised | null
  sboms: Sbom[]
  /** Why the scan as a whole failed before any engine ran; null otherwise. */
  failure: ScanReason | null
  logs: string[]
}

/** The result envelope 1.1 of one job. Pure; the caller validates it before it is sent. */
export function buildEnvelope(input: EnvelopeInput): Result {
  const { job, image, normalised } = input
  const status = statusOf(input)
  return {
    version: '1.1',
    fence: job.lease.fence,
    sensor: input.sensor,
    image: image && describeImage(job, image, normalised),
    scan: {
      id: job.id,
      startedAt: input.startedAt.toISOString(),
      finishedAt: input.finishedAt.toISOString(),
      status,
      reason: input.failure ?? (status === 'FAILED' ? reason(failedBecause(input.engines)) : null),
    },
    engines: input.engines,
    sboms: input.sboms.map(({ format, blob }) => {
      const { sha256, content, mediaType } = blob
      return { format, sha256, size: content.length, mediaType }
    }),
    packages: normalised?.packages ?? [],
    vulnerabilities: normalised?.vulnerabilities ?? [],
    findings: normalised?.findings ?? [],
    logs: [...input.logs, ...(normalised?.logs ?? [])]
      .slice(0, MAX_LOGS)
      .map((line) => line.slice(0, MAX_LOG)),
  }
}

function statusOf({ failure, engines, asked }: EnvelopeInput): Result['scan']['status'] {
  const counted = engines.filter((engine) => asked.includes(engine.name))
  const succeeded = counted.filter((engine) => engine.status === 'succeeded').length
  if (failure || succeeded === 0) return 'FAILED'
  return succeeded === counted.length ? 'SUCCESS' : 'PARTIAL'
}

const failedBecause = (engines: readonly EngineRun[]): ReasonCode =>
  engines.every((engine) => engine.status === 'unavailable') ? 'engine_unavailable' : 'all_engines_failed'

function describeImage(job: Job, pulled: PulledImage, normalised: Normalised | null): Result['image'] {
  const { os: _os, architecture: _architecture, ...image } = pulled
  return { ...image, ref: job.scan.imageRef, os: normalised?.os ?? null }
}
