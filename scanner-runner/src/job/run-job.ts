import { join } from 'node:path'
import type { CryptoKey } from 'jose'
import { reason, type ScanReason } from '../../../src/scanning/reasons.ts'
import {
  ENGINES,
  type EngineName,
  type EngineRun,
  type Job,
  type Result,
} from '../../../src/scanning/sensors/protocol.ts'
import type { Blob } from '../client/client.ts'
import type { Config } from '../config.ts'
import { CredentialsRefused, openCredentials } from '../credentials.ts'
import type { DatabaseSource } from '../databases/database-source.ts'
import { type EngineDriver, RUNNER_ENGINES, type RunnerEngine } from '../engines/engine.ts'
import type { InstalledEngine } from '../engines/installed-engines.ts'
import type { Log } from '../log.ts'
import { type ImageReference, parseImageReference } from '../pull/image-reference.ts'
import { PullError } from '../pull/pull-error.ts'
import { type PulledImage, pullImage } from '../pull/pull-image.ts'
import type { Redactor } from '../redact.ts'
import { RUNNER_VERSION } from '../version.ts'
import { buildEnvelope } from './envelope.ts'
import { normaliseOutcomes } from './normalise-outcomes.ts'
import type { ProgressTracker } from './progress.ts'
import { readSboms, type Sbom } from './read-sboms.ts'
import type { EngineOutcome } from './run-engine.ts'
import { runEngines, unavailable } from './run-engines.ts'
import { makeJobDirectory, removeDirectory } from './running-directory.ts'
import { createScrub } from './scrub.ts'

/** What a runner brings to every job. */
export interface Workshop {
  config: Config
  databases: DatabaseSource
  drivers: Record<RunnerEngine, EngineDriver>
  engines: readonly InstalledEngine[]
  privateKey: CryptoKey
  redactor: Redactor
}

export interface JobContext extends Workshop {
  job: Job
  agentId: string
  log: Log
  signal: AbortSignal
  deadlineMs: number
  progress: ProgressTracker
}

export interface JobResult {
  envelope: Result
  blobs: Blob[]
}

/** The engines a job asks for, in the order of the catalogue; without any, all that runners have. */
export function askedEngines(job: Job): EngineName[] {
  const known = ENGINES.filter((name) => job.scan.scanners.includes(name))
  return known.length > 0 ? known : [...RUNNER_ENGINES]
}

/**
 * One scan: a verified pull of one platform, the engines on it, one normalised result. What goes wrong is in the
 * result; rejects when the job was stopped or the runner itself failed. The job's directory is gone afterwards.
 */
export async function runJob(context: JobContext): Promise<JobResult> {
  const { job, config, signal } = context
  const startedAt = new Date()
  const asked = askedEngines(job)
  if (!asked.some((name) => context.engines.some((engine) => engine.name === name)))
    return emptyResult(
      context,
      startedAt,
      asked.map(unavailable).map(({ run }) => run),
      null,
    )
  const jobDir = await makeJobDirectory(config.workDir, job.id, job.lease.fence)
  const layoutDir = join(jobDir, 'image')
  try {
    const pulled = await pull(context, layoutDir)
    signal.throwIfAborted()
    if ('failure' in pulled) return failedResult(context, startedAt, pulled.failure)
    const logs = [`Pulled ${pulled.image.layers.length} layers, ${pulled.image.sizeBytes} bytes.`]
    const ran = await scan(context, pulled, jobDir, layoutDir)
    signal.throwIfAborted()
    const { outcomes, normalised } = normaliseOutcomes(ran)
    const sboms = await sbomsOf(outcomes, jobDir)
    const envelope = buildEnvelope({
      job,
      sensor: describeSelf(context),
      startedAt,
      finishedAt: new Date(),
      image: pulled.image,
      asked,
      engines: outcomes.map(({ run }) => run),
      normalised,
      sboms,
      failure: null,
      logs: [...logs, ...outcomes.map(({ run }) => sentence(run))],
    })
    return { envelope, blobs: blobsOf(outcomes, sboms) }
  } finally {
    await removeDirectory(jobDir)
  }
}

type Pulled = { image: PulledImage; reference: ImageReference } | { failure: ScanReason }

async function pull(context: JobContext, layoutDir: string): Promise<Pulled> {
  const { job, config, signal, log } = context
  const secrets: string[] = []
  try {
    const reference = parseImageReference(job.scan.imageRef)
    const credentials = await openFor(context, reference)
    for (const secret of [credentials?.password, credentials?.username]) if (secret) secrets.push(secret)
    for (const secret of secrets) context.redactor.add(secret)
    const image = await pullImage({
      reference,
      credentials,
      ...{ digest: job.digest, indexDigest: job.indexDigest, platform: job.platform, layoutDir, signal },
      policy: { allowPrivateNetworks: config.allowPrivateNetworks, insecure: job.insecure },
      maxImageBytes: config.maxImageBytes,
      maxUnpackedBytes: config.maxUnpackedBytes,
      onProgress: context.progress.pulling,
    })
    return { image, reference }
  } catch (error) {
    signal.throwIfAborted()
    log.warn('pull_failed', { error })
    if (error instanceof PullError)
      return { failure: reason(error.code, context.redactor.redact(error.message)) }
    if (error instanceof CredentialsRefused)
      return { failure: reason('credentials_unavailable', `The runner refuses them: ${error.message}.`) }
    throw error
  } finally {
    for (const secret of secrets) context.redactor.remove(secret)
  }
}

async function openFor({ job, privateKey, agentId }: JobContext, { host }: ImageReference) {
  if (job.credentials === null) return null
  const expected = { job: job.id, fence: job.lease.fence, runner: agentId, host }
  return openCredentials(job.credentials, privateKey, expected, Date.now())
}

function scan(
  context: JobContext,
  { image, reference }: { image: PulledImage; reference: ImageReference },
  jobDir: string,
  layoutDir: string,
): Promise<EngineOutcome[]> {
  const { job, config, databases } = context
  const scrub = createScrub([
    [layoutDir, job.scan.imageRef],
    [jobDir, 'job'],
    [databases.trivyCacheDir, 'trivy-databases'],
    [databases.grypeCacheDir, 'grype-databases'],
    [config.workDir, 'work'],
  ])
  return runEngines({
    asked: askedEngines(job),
    engines: context.engines,
    drivers: context.drivers,
    deadlineMs: context.deadlineMs,
    onStatus: context.progress.engine,
    sourceName: sourceName(reference),
    platform: { os: image.os, architecture: image.architecture },
    ...{ jobDir, layoutDir, scrub, signal: context.signal },
  })
}

/** The reference without its digest: the digest stands beside it in the SBOMs. */
const sourceName = ({ host, repository, tag }: ImageReference): string =>
  tag === null ? `${host}/${repository}` : `${host}/${repository}:${tag}`

async function sbomsOf(outcomes: readonly EngineOutcome[], jobDir: string): Promise<Sbom[]> {
  const syft = outcomes.find(({ run }) => run.name === 'syft' && run.status === 'succeeded')
  return syft ? readSboms(syft.outDir, jobDir) : []
}

function blobsOf(outcomes: readonly EngineOutcome[], sboms: readonly Sbom[]): Blob[] {
  const all = [...outcomes.flatMap(({ raw }) => raw ?? []), ...sboms.map(({ blob }) => blob)]
  return [...new Map(all.map((blob) => [blob.sha256, blob])).values()]
}

function sentence({ name, version, status, durationMs, reason: why }: Result['engines'][number]): string {
  const took = durationMs === null ? '' : ` in ${(durationMs / 1000).toFixed(1)} s`
  return `${name}${version ? ` ${version}` : ''} ${status}${took}${why ? `: ${why.message}` : '.'}`
}

function failedResult(context: JobContext, startedAt: Date, failure: ScanReason): JobResult {
  const engines = askedEngines(context.job).map((name) => {
    const installed = context.engines.find((engine) => engine.name === name)
    return {
      ...{ name, version: installed?.version ?? null, sha256: installed?.sha256 ?? null },
      ...{ status: 'skipped' as const, durationMs: null, reason: failure, database: null, raw: null },
    }
  })
  return emptyResult(context, startedAt, engines, failure)
}

function emptyResult(
  context: JobContext,
  startedAt: Date,
  engines: EngineRun[],
  failure: ScanReason | null,
): JobResult {
  const common = { job: context.job, sensor: describeSelf(context), startedAt, finishedAt: new Date() }
  const nothing = { image: null, normalised: null, sboms: [], logs: failure ? [failure.message] : [] }
  const asked = askedEngines(context.job)
  return { envelope: buildEnvelope({ ...common, ...nothing, asked, engines, failure }), blobs: [] }
}

const describeSelf = ({ config, engines }: Workshop): Result['sensor'] => ({
  name: config.agentName,
  version: RUNNER_VERSION,
  scannerVersions: Object.fromEntries(engines.map(({ name, version }) => [name, version])),
})
