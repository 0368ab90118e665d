import type { BaseContext, Context } from './context.ts'
import { causeOf } from './db/database.ts'
import { bury } from './db/dead-letters.ts'
import { forgetPromised, promise, sendPromised } from './db/outbox.ts'
import { placedDb } from './db/shards.ts'
import type { Env } from './env.ts'
import { giveUpSync, type Remains, removeRegistry, syncRegistry } from './inventory/registries/index.ts'
import { type LogLevel, logUnit, type Unit } from './log.ts'
import { RetryLater } from './retry-later.ts'
import { recountArtifacts, retireArtifacts } from './risk/findings/index.ts'
import { storedRegistries } from './scanning/registry-access.ts'
import { dispatchScan, failDispatch } from './scanning/scans/dispatch.ts'
import { expireOutputs } from './scanning/scans/expire-outputs.ts'
import { giveUpIngest } from './scanning/scans/give-up-ingest.ts'
import { ingestScan } from './scanning/scans/ingest.ts'
import { deleteScansOfRegistry, endScansOfRegistry } from './scanning/scans/remove-registry.ts'
import { reopenDispatch, reopenIngest } from './scanning/scans/reopen.ts'
import { scheduleRegistryScans } from './scanning/schedules/schedule-registry.ts'
import { systemBase, systemContext } from './system-context.ts'

/** Every message of the work queue: a kind and ids, never payloads. A handler may run twice. */
export type WorkMessage = WorkItem & { replayed?: true }

type WorkItem =
  | { kind: 'scan.dispatch'; org: number; scanId: string; outboxId?: string }
  | { kind: 'scan.ingest'; org: number; scanId: string; outboxId?: string }
  | {
      kind: 'registry.schedule'
      org: number
      registryId: string
      after: { repository: string; tag: string } | null
      outboxId?: string
    }
  | { kind: 'registry.sync'; org: number; registryId: string; outboxId?: string }
  | { kind: 'registry.delete'; org: number; registryId: string; outboxId?: string }
  | { kind: 'artifacts.recount'; org: number; seq: number; after: number; outboxId?: string }
  | { kind: 'artifacts.retire'; org: number; imageId: string; outboxId?: string }

type Kind = WorkMessage['kind']
type MessageOf<K extends Kind> = Extract<WorkMessage, { kind: K }>

interface Handler<K extends Kind> {
  /** Does the work; what it throws is tried again, a RetryLater when it says. `attempt` counts deliveries from 1. */
  handle(ctx: Context, message: MessageOf<K>, attempt: number): Promise<unknown>
  /** What remains to be said once every attempt failed. Without it the message is only logged. */
  giveUp?(ctx: Context, message: MessageOf<K>): Promise<unknown>
  /** Takes back what giving up did, before a dead letter that an operator replayed is handled. */
  reopen?(ctx: Context, message: MessageOf<K>): Promise<unknown>
}

const REMAINS: Remains = {
  endScans: endScansOfRegistry,
  deleteScans: deleteScansOfRegistry,
  retire: retireArtifacts,
}

const HANDLERS: { [K in Kind]: Handler<K> } = {
  'scan.dispatch': {
    handle: (ctx, { scanId }, attempt) => dispatchScan(ctx, scanId, attempt, storedRegistries),
    giveUp: (ctx, { scanId }) => failDispatch(ctx, scanId, 'dispatch_failed'),
    reopen: (ctx, { scanId }) => reopenDispatch(ctx, scanId),
  },
  'scan.ingest': {
    handle: async (ctx, { scanId }) => {
      await ingestScan(ctx, scanId)
      await expireOutputs(ctx, scanId)
    },
    giveUp: (ctx, { scanId }) => giveUpIngest(ctx, scanId),
    reopen: (ctx, { scanId }) => reopenIngest(ctx, scanId),
  },
  'registry.schedule': {
    handle: (ctx, { registryId, after }) => scheduleRegistryScans(ctx, registryId, after),
  },
  'registry.sync': {
    handle: (ctx, { registryId }, attempt) => syncRegistry(ctx, registryId, attempt),
    giveUp: (ctx, { registryId }) => giveUpSync(ctx, registryId),
  },
  'registry.delete': {
    handle: (ctx, { registryId }) => removeRegistry(ctx, registryId, REMAINS),
  },
  'artifacts.recount': {
    handle: async (ctx, message) => {
      const after = await recountArtifacts(ctx, message)
      if (after !== null) await goOn(ctx, { ...message, after })
    },
  },
  'artifacts.retire': {
    handle: async (ctx, message) => {
      const { more } = await retireArtifacts(ctx, message.imageId)
      if (more) await goOn(ctx, message)
    },
  },
}

/** The next slice of the same work, in a message of its own. */
async function goOn(ctx: Context, message: WorkMessage): Promise<void> {
  const next = promise(message, ctx.now)
  await ctx.db.run(next.statement)
  sendPromised(ctx, [next])
}

const DEAD_LETTERS = 'harborguard-dead-letters'
const LAST_ATTEMPT = 6 // max_retries of wrangler.toml, and the first delivery
const MAX_RETRY_SECONDS = 300

/**
 * Each message is acknowledged or tried again by itself; one that fails holds up no other. Dispatches go side by side
 * and wait for nothing: they wait for registries, and people for them. What takes memory goes one after another.
 */
export async function handleQueue(
  batch: MessageBatch<WorkMessage>,
  env: Env,
  execution: ExecutionContext,
): Promise<void> {
  const isDead = batch.queue === DEAD_LETTERS
  const settle = (message: Message<WorkMessage>) =>
    settleMessage(systemBase(env, execution, Date.now()), message, isDead)
  const isDispatch = ({ body }: Message<WorkMessage>) => body.kind === 'scan.dispatch'
  const inTurn = async () => {
    for (const message of batch.messages) if (!isDispatch(message)) await settle(message)
  }
  await Promise.all([...batch.messages.filter(isDispatch).map(settle), inTurn()])
}

async function settleMessage(
  base: BaseContext,
  message: Message<WorkMessage>,
  isDead: boolean,
): Promise<void> {
  const seen: Seen = { organization: null }
  try {
    const outcome = await handleMessage(base, message, isDead, seen)
    message.ack()
    logMessage(base, message, seen, outcome === 'handled' ? 'info' : 'error', outcome)
  } catch (error) {
    const delaySeconds = delayOf(error, message.attempts)
    message.retry({ delaySeconds })
    if (!isDead && message.attempts >= LAST_ATTEMPT) await noteLastError(base, message.body, error)
    const level = error instanceof RetryLater ? 'warn' : 'error'
    logMessage(base, message, seen, level, 'retried', { delaySeconds, error: String(error) })
  }
}

/** Whose message it is, as soon as that is known. */
interface Seen {
  organization: string | null
}

async function handleMessage(
  base: BaseContext,
  message: Message<WorkMessage>,
  isDead: boolean,
  seen: Seen,
): Promise<'handled' | 'dead' | 'unroutable'> {
  const { body } = message
  const ctx = await systemContext(base, body.org, body.kind)
  seen.organization = ctx?.organization.id ?? null
  const handler = HANDLERS[body.kind] as Handler<Kind> | undefined
  if (!ctx || !handler) return 'unroutable'
  if (isDead) {
    await ctx.db.run(bury(body, LAST_ATTEMPT, null, base.now))
    await handler.giveUp?.(ctx, body as never)
  } else {
    if (body.replayed) await handler.reopen?.(ctx, body as never)
    await handler.handle(ctx, body as never, message.attempts)
  }
  if (body.outboxId) {
    const db = placedDb(base.env, ctx.organization.shard, base.directory.meter)
    await db.run(forgetPromised([body.outboxId]))
  }
  return isDead ? 'dead' : 'handled'
}

/** What a message failed with at its last attempt, for its dead letter; storage that does not answer leaves it out. */
async function noteLastError(base: BaseContext, body: WorkMessage, error: unknown): Promise<void> {
  const name = error instanceof Error ? causeOf(error).name : typeof error
  await systemContext(base, body.org, body.kind)
    .then((ctx) => ctx?.db.run(bury(body, LAST_ATTEMPT, name, base.now)))
    .catch(() => {})
}

function delayOf(error: unknown, attempts: number): number {
  const wanted = error instanceof RetryLater ? error.delaySeconds : 2 ** Math.min(attempts, 8)
  return Math.min(MAX_RETRY_SECONDS, Math.max(1, Math.ceil(wanted)))
}

/** The one line of a delivery: the ids that the message holds, how it ended, what it cost. */
function logMessage(
  base: BaseContext,
  { body: { kind, org, ...ids }, attempts }: Message<WorkMessage>,
  { organization }: Seen,
  level: LogLevel,
  outcome: string,
  details: object = {},
): void {
  const { env, requestId, now: startedAt, directory } = base
  const unit: Unit = {
    event: 'message',
    requestId,
    organization,
    name: kind,
    outcome,
    startedAt,
    meter: directory.meter,
  }
  logUnit(env, level, unit, { attempts, org, ...ids, ...details })
}
