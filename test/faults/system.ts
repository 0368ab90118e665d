import { env } from 'cloudflare:workers'
import { vi } from 'vitest'
import { createApp } from '../../src/app.ts'
import { handleScheduled } from '../../src/cron.ts'
import { shardNames, tenantDb } from '../../src/db/shards.ts'
import type { Env } from '../../src/env.ts'
import { handleQueue, type WorkMessage } from '../../src/queue.ts'
import { deleteMarkedBlobs } from '../../src/scanning/scans/release-blobs.ts'
import { sweepBucket } from '../../src/scanning/scans/sweep-bucket.ts'
import { systemBase } from '../../src/system-context.ts'
import { type FaultPlan, faultyBindings, noFaults } from './faulty-bindings.ts'

export const MINUTE = 60_000
const SWEPT_AFTER = 25 * 60 * MINUTE // beyond what the sweep leaves alone
const MAX_RETRIES = 5 // as wrangler.toml says
const BATCH = 10
const LEVELS = ['error', 'warn', 'info'] as const // of the Worker's log: faults make it long
const MAX_ROUNDS = 200 // of a queue that is drained

interface Queued {
  body: WorkMessage
  attempts: number
}

const app = createApp()

/**
 * The Worker with a queue, a clock and bindings that the test holds: requests, messages and cron ticks run the
 * real handlers, and what they deferred is done when a call returns. Never answers a 5xx other than 503 with
 * Retry-After: the harness throws on one.
 */
export class System {
  readonly queue: Queued[] = []
  readonly dead: WorkMessage[] = []
  private plan: FaultPlan = noFaults
  private readonly env: Env
  private deferred: Promise<unknown>[] = []

  constructor(start: number) {
    vi.useFakeTimers({ toFake: ['Date'], now: start })
    for (const level of LEVELS) vi.spyOn(console, level).mockImplementation(() => {})
    const sendBatch = async (batch: Iterable<{ body: WorkMessage }>) => {
      for (const { body } of batch) this.queue.push({ body, attempts: 1 })
    }
    const send = async (body: WorkMessage) => sendBatch([{ body }])
    const queue = { send, sendBatch } as unknown as Queue
    this.env = faultyBindings(env as unknown as Env, queue, (call) => this.plan(call))
  }

  get now(): number {
    return Date.now()
  }

  advance(milliseconds: number): void {
    vi.setSystemTime(this.now + milliseconds)
  }

  /** Runs `work` while storage fails as `plan` says. */
  async under<T>(plan: FaultPlan, work: () => Promise<T>): Promise<T> {
    this.plan = plan
    try {
      return await work()
    } finally {
      this.plan = noFaults
    }
  }

  async fetch(request: Request): Promise<{ status: number; body: Record<string, never> | null }> {
    const response = await app.fetch(request, this.env, this.execution() as ExecutionContext)
    const text = await response.text()
    await this.settle()
    const mayRetry = response.status === 503 && response.headers.has('Retry-After')
    if (response.status >= 500 && !mayRetry) {
      throw new Error(`${request.method} ${request.url} answered ${response.status}: ${text}`)
    }
    return { status: response.status, body: text ? JSON.parse(text) : null }
  }

  /** Delivers one batch; what fails is queued again, and dead after as many attempts as the queue makes. */
  async deliver(batch: readonly Queued[], queue = 'harborguard-work'): Promise<void> {
    const retried: Queued[] = []
    const messages = batch.map(({ body, attempts }, index) => ({
      ...{ id: `m${index}`, timestamp: new Date(), attempts, body: structuredClone(body) },
      ack: () => {},
      retry: () => {
        retried.push({ body, attempts: attempts + 1 })
      },
    }))
    await handleQueue({ queue, messages } as never, this.env, this.execution() as ExecutionContext)
    await this.settle()
    for (const message of retried) {
      if (message.attempts <= MAX_RETRIES + 1) this.queue.push(message)
      else this.dead.push(message.body)
    }
  }

  /** Delivers until nothing is queued. Dead letters go to their consumer. */
  async drain(): Promise<void> {
    for (let round = 0; this.queue.length > 0 || this.dead.length > 0; round++) {
      if (round === MAX_ROUNDS) throw new Error(`the queue never empties: ${JSON.stringify(this.queue[0])}`)
      if (this.queue.length > 0) await this.deliver(this.queue.splice(0, BATCH))
      const dead = this.dead.splice(0).map((body) => ({ body, attempts: 1 }))
      if (dead.length > 0) await this.deliver(dead, 'harborguard-dead-letters')
    }
  }

  /** One minute of the cron, as it is now. */
  async tick(): Promise<void> {
    await handleScheduled(this.env, this.execution() as ExecutionContext, this.now)
    await this.settle()
  }

  /** What the cron's sweep of the bucket has done once every object is a day old. The clock stays where it is. */
  async sweepObjects(): Promise<void> {
    const base = systemBase(this.env, this.execution(), this.now + SWEPT_AFTER)
    for (let passes = 0; passes < 2; ) if (!(await sweepBucket(base))) passes++
    for (const name of shardNames(this.env)) {
      const db = tenantDb(this.env, name, base.directory.meter)!
      while ((await deleteMarkedBlobs(this.env, db, base.now, 1000)) > 0);
    }
  }

  private execution() {
    return {
      waitUntil: (work: Promise<unknown>) => {
        this.deferred.push(work)
      },
      passThroughOnException: () => {},
    }
  }

  private async settle(): Promise<void> {
    while (this.deferred.length > 0) await Promise.all(this.deferred.splice(0))
  }
}
