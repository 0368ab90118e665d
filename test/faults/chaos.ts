import type { WorkMessage } from '../../src/queue.ts'
import type { Job } from '../../src/scanning/sensors/protocol.ts'
import type { FakeContent } from '../fake-registry.ts'
import { mixed } from '../risk/results.ts'
import { FakeRunner } from './fake-runner.ts'
import type { FaultPlan } from './faulty-bindings.ts'
import { randomFrom } from './seed.ts'
import { MINUTE, type System } from './system.ts'
import { type Answer, aTenant, expectStatus, type Tenant } from './tenant.ts'

/**
 * A lease as its holder knew of it: kept outside of the system that grants them. The clock may move while a call is
 * under way, so it surely held from `from` until `until`.
 */
export interface Grant {
  job: string
  fence: number
  from: number
  /** When its holder gave it back, or else what the server had promised. */
  until: number
}

export interface Wishes {
  scans: number
  runners: number
  organizations: number
  /** Share of storage calls that fail. */
  faults: number
  seed: number
}

const TURN = 15_000
const TURNS_A_TICK = MINUTE / TURN
const REPOSITORIES = 25 // of one organization; images of one repository share most packages
const TAGS = 3
const MAX_TURNS = 4000
const BATCH = 5 // messages of one delivery

/** A runner process, the job it has, and how far it is. */
interface Worker {
  runner: FakeRunner
  job: Job | null
  grant: Grant | null
  done: number
  pausedUntil: number
}

interface Owner extends Tenant {
  content: FakeContent
}

/**
 * One run of many scans, runners and faults on a clock of its own. What each runner, message and request does follows
 * from the seed and the turn; which call of the storage fails also from the order in which calls arrive.
 */
export class Chaos {
  readonly grants: Grant[] = []
  /** How often each thing happened. */
  readonly events: Record<string, number> = {}
  readonly asked: string[] = []
  tenants: Owner[] = []
  private readonly system: System
  private readonly wishes: Wishes
  private readonly nextFault: () => number
  private readonly workers: Worker[] = []
  private turn = 0

  constructor(system: System, wishes: Wishes) {
    this.system = system
    this.wishes = wishes
    this.nextFault = randomFrom(wishes.seed)
  }

  /** Asks, scans, kills, pauses, doubles and loses until everything that was asked for has ended. */
  async run(): Promise<void> {
    for (let n = 0; n < this.wishes.organizations; n++) this.tenants.push(await anOwner(this.system))
    for (let n = 0; n < this.wishes.runners; n++) this.workers.push(await this.newWorker())
    await this.system.under(this.plan, async () => {
      for (this.turn = 1; this.turn < MAX_TURNS; this.turn++) {
        await this.askForSome()
        await this.deliverSome()
        await Promise.all(this.workers.map((_, index) => this.work(index)))
        this.system.advance(TURN)
        if (this.turn % TURNS_A_TICK === 0) await this.system.tick()
        if (this.turn % TURNS_A_TICK === 0 && (await this.isOver())) return
      }
      throw new Error(`not over after ${MAX_TURNS} turns`)
    })
  }

  private readonly plan: FaultPlan = (call) => {
    if (this.nextFault() >= this.wishes.faults) return null
    const kind = this.nextFault() < 0.5 ? 'before' : 'after'
    this.note(`${call.split('.')[0]} failed ${kind}`)
    return kind
  }

  private note(event: string): void {
    this.events[event] = (this.events[event] ?? 0) + 1
  }

  /** A number in [0, 1) for one question about one thing in this turn. */
  private dice(question: string, thing: number): number {
    return mixed(this.wishes.seed, this.turn, thing, ...new TextEncoder().encode(question)) / 2 ** 32
  }

  private happens(share: number, event: string, thing: number): boolean {
    const does = this.dice(event, thing) < share
    if (does) this.note(event)
    return does
  }

  private async newWorker(): Promise<Worker> {
    const runner = await FakeRunner.register(this.system)
    return { runner, job: null, grant: null, done: 0, pausedUntil: 0 }
  }

  private async askForSome(): Promise<void> {
    const some = Math.min(this.wishes.scans - this.asked.length, 2 + Math.floor(this.dice('wishes', 0) * 14))
    await Promise.all(Array.from({ length: some }, (_, n) => this.ask(n)))
    if (this.happens(0.1, 'tag moved', 0)) await this.moveTag()
  }

  /** Until the answer came: the same key makes the same scan. Each client has an address of its own. */
  private async ask(n: number): Promise<void> {
    const tenant = this.tenants[Math.floor(this.dice('organization', n) * this.tenants.length)]!
    const repository = Math.floor(this.dice('repository', n) * REPOSITORIES)
    const tag = Math.floor(this.dice('tag', n) * TAGS)
    const body = {
      image: `${tenant.host}/team/app-${repository}:${tag}`,
      scanners: ['trivy', 'grype', 'syft'],
    }
    const client = `${this.turn}-${n}`
    const headers = { 'Idempotency-Key': client, 'CF-Connecting-IP': client }
    let answer: Answer
    do answer = await tenant.call('POST', '/api/scans', body, headers)
    while (answer.status === 503)
    this.asked.push(expectStatus(answer, 202).body.scanId)
  }

  private async moveTag(): Promise<void> {
    const tenant = this.tenants[Math.floor(this.dice('mover', 0) * this.tenants.length)]!
    const repository = Math.floor(this.dice('moved', 0) * REPOSITORIES)
    tenant.content[`team/app-${repository}`]!['0'] = `moved-${this.turn}`
    await tenant.registry.set({ repositories: tenant.content })
  }

  /** What is queued, in any order; some of it twice, some of it never. */
  private async deliverSome(): Promise<void> {
    const batch = this.system.queue
      .splice(0)
      .filter((_, n) => !this.happens(0.02, 'message lost', n))
      .flatMap((message, n) => (this.happens(0.05, 'message doubled', n) ? [message, message] : [message]))
      .map((message, n) => ({ message, at: this.dice('order', n) }))
      .sort((a, b) => a.at - b.at)
      .map(({ message }) => message)
    const slices = Math.ceil(batch.length / BATCH)
    await Promise.all(
      Array.from({ length: slices }, (_, n) => this.system.deliver(batch.slice(n * BATCH, (n + 1) * BATCH))),
    )
    const dead = this.system.dead.splice(0).map((body: WorkMessage) => ({ body, attempts: 1 }))
    for (const _ of dead) this.note('message dead')
    if (dead.length > 0) await this.system.deliver(dead, 'harborguard-dead-letters')
  }

  /** One turn of one runner: it takes a job, does a step of it, is paused, or is killed and replaced. */
  private async work(index: number): Promise<void> {
    const worker = this.workers[index]!
    if (worker.pausedUntil > this.system.now) return
    if (this.happens(0.005, 'runner killed', index)) {
      this.workers[index] = await this.newWorker()
    } else if (this.happens(0.01, 'runner paused', index)) {
      worker.pausedUntil = this.system.now + this.dice('pause', index) * 6 * MINUTE
    } else if (worker.job) {
      await this.step(worker, worker.job, index)
    } else {
      await this.take(worker, index)
    }
  }

  private async take(worker: Worker, index: number): Promise<void> {
    if (this.dice('beat', index) < 0.25) await worker.runner.renew(null)
    const { now } = this.system
    worker.job = await worker.runner.poll()
    worker.done = 0
    if (!worker.job) {
      worker.pausedUntil = now + this.dice('idle', index) * 6 * TURN
      return
    }
    const { id, lease } = worker.job
    const until = now + lease.seconds * 1000
    worker.grant = { job: id, fence: lease.fence, from: this.system.now, until }
    this.grants.push(worker.grant)
  }

  private async step(worker: Worker, job: Job, index: number): Promise<void> {
    const { runner, grant } = worker
    worker.done++
    if (worker.done === 1 || this.dice('slow', index) < 0.2) {
      const { now } = this.system
      const beat = await runner.renew(job)
      if (beat) grant!.until = now + beat.leaseSeconds * 1000
      if (beat?.leaseSeconds === 0) worker.job = null
      return
    }
    const blobs = await runner.putBlobs(job)
    if (blobs.every(({ status }) => status === 200 || status === 201)) await this.end(worker, job, index)
    else if (blobs.some(({ status }) => status === 409)) worker.job = null
  }

  private async end(worker: Worker, job: Job, index: number): Promise<void> {
    worker.job = null
    worker.grant!.until = Math.min(worker.grant!.until, this.system.now)
    if (this.happens(0.02, 'job released', index)) await worker.runner.report(job, 'released')
    else if (this.happens(0.01, 'job failed', index)) await worker.runner.report(job, 'failed')
    else {
      const copies = this.happens(0.05, 'upload doubled', index) ? 2 : 1
      const upload = () => worker.runner.upload(job, shapeOf(job))
      const answers = await Promise.all(Array.from({ length: copies }, upload))
      for (const { status } of answers) this.note(`upload answered ${status}`)
    }
  }

  private async isOver(): Promise<boolean> {
    if (this.asked.length < this.wishes.scans || this.system.queue.length > 0) return false
    if (this.workers.some(({ job }) => job)) return false
    for (const { rows, organization } of this.tenants) {
      const [left] = await rows<{ n: number }>(
        `SELECT (SELECT count(*) FROM scans WHERE org = ?1 AND deadline_at IS NOT NULL)
              + (SELECT count(*) FROM outbox WHERE org = ?1) AS n`,
        organization.num,
      )
      if (left!.n > 0) return false
    }
    return true
  }
}

async function anOwner(system: System): Promise<Owner> {
  const content: FakeContent = {}
  for (let repository = 0; repository < REPOSITORIES; repository++) {
    const tags = Array.from({ length: TAGS }, (_, tag) => [String(tag), `app-${repository}:${tag}`])
    content[`team/app-${repository}`] = Object.fromEntries(tags)
  }
  return { ...(await aTenant(system, content)), content }
}

/** Images of one repository share most packages; every scan of an image says the same. */
function shapeOf(job: Job) {
  const repository = Number(/app-(\d+)/.exec(job.scan.imageRef)![1])
  const version = Number.parseInt(job.digest!.slice(7, 9), 16) % 4
  return { packages: 8, findings: 6, from: repository * 5 + version, seed: 7 }
}
