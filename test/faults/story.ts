import { expect } from 'vitest'
import type { Job } from '../../src/scanning/sensors/protocol.ts'
import { FakeRunner } from './fake-runner.ts'
import type { FaultPlan } from './faulty-bindings.ts'
import { MINUTE, type System } from './system.ts'
import { aTenant, emptyCloud, expectStatus, retrying, type Tenant, unfinished } from './tenant.ts'

const MAX_ROUNDS = 60
const STEP = 3 * MINUTE // beyond a lease and the resend of a promise

/** One organization, one runner, and how far its scan is. */
export class Story {
  readonly system: System
  readonly tenant: Tenant
  readonly runner: FakeRunner
  scanId = ''
  job: Job | null = null

  private constructor(system: System, tenant: Tenant, runner: FakeRunner) {
    this.system = system
    this.tenant = tenant
    this.runner = runner
  }

  static async begin(system: System): Promise<Story> {
    await emptyCloud()
    system.queue.length = 0
    return new Story(system, await aTenant(system), await FakeRunner.register(system))
  }

  async request(image = 'team/app:1.0'): Promise<void> {
    const body = { image: `${this.tenant.host}/${image}`, scanners: ['trivy', 'grype', 'syft'] }
    const headers = { 'Idempotency-Key': image }
    const answer = await retrying(this.system, () => this.tenant.call('POST', '/api/scans', body, headers))
    this.scanId = expectStatus(answer, 202).body.scanId
  }

  /** Hands out what is queued, once. */
  async deliver(): Promise<void> {
    await this.system.deliver(this.system.queue.splice(0))
  }

  async claim(): Promise<void> {
    this.job = await this.runner.poll()
  }

  async claimed(): Promise<void> {
    await this.request()
    await this.deliver()
    await this.claim()
    expect(this.job).not.toBeNull()
  }

  async uploaded(): Promise<void> {
    await this.claimed()
    expectStatus(await this.runner.complete(this.job!), 200)
  }

  /** Everything goes its way until nothing is left to do. */
  async finish(): Promise<void> {
    let before = ''
    let step = STEP
    for (let round = 0; round < MAX_ROUNDS; round++) {
      await this.system.drain()
      await this.runner.renew(null)
      const job = await this.runner.poll()
      if (job) {
        expectStatus(await this.runner.complete(job), 200, 409)
        continue
      }
      const left = await unfinished(this.tenant)
      if (Object.values(left).every((count) => count === 0)) return this.system.sweepObjects()
      step = JSON.stringify(left) === before ? step * 4 : STEP
      before = JSON.stringify(left)
      this.system.advance(step)
      await this.runner.renew(null)
      await this.system.tick()
    }
    throw new Error(`never ends: ${JSON.stringify(await unfinished(this.tenant))}`)
  }
}

/** What leads to an operation, and the operation itself, which then runs under faults. */
export interface Operation {
  before(story: Story): Promise<unknown>
  run(story: Story): Promise<unknown>
}

/** Tells one story to its end, with faults in its operation. */
export async function tell(system: System, operation: Operation, plan: FaultPlan): Promise<Story> {
  const story = await Story.begin(system)
  await operation.before(story)
  await system.under(plan, () => operation.run(story))
  await story.finish()
  return story
}
