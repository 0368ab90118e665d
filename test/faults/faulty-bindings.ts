import type { Env } from '../../src/env.ts'

/** Where a call of a binding fails: before it did anything, or after it did all of it. */
export type FaultKind = 'before' | 'after'

/** Decides about each call in turn; null lets it pass. `call` names binding and method, such as `d1.batch`. */
export type FaultPlan = (call: string) => FaultKind | null

/** As the platform words them; the first that fits the binding's name is thrown. */
const MESSAGES: Record<string, readonly string[]> = {
  d1: [
    'D1_ERROR: Network connection lost.',
    'D1_ERROR: D1 DB is overloaded. Too many requests queued.',
    'D1_ERROR: Internal error in D1 DB storage caused object to be reset.',
    'D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.',
    'D1_ERROR: Cannot resolve D1 DB due to transient issue on remote node.',
  ],
  r2: [
    'put: We encountered an internal error. Please try again. (10001)',
    'get: Unspecified error (0)',
    'Network connection lost.',
  ],
  queue: ['Queue sendBatch failed: Internal Server Error', 'Network connection lost.'],
  do: ['Network connection lost.', 'Durable Object is overloaded. Requests queued for too long.'],
}

/** Calls of all bindings of one Env, counted and failed as the plan says. */
class Faults {
  private failed = 0
  private readonly plan: FaultPlan

  constructor(plan: FaultPlan) {
    this.plan = plan
  }

  async run<T>(call: string, work: () => Promise<T>): Promise<T> {
    const kind = this.plan(call)
    if (kind === null) return work()
    const messages = MESSAGES[call.split('.')[0]!]!
    const error = new Error(messages[this.failed++ % messages.length])
    if (kind === 'after') await work()
    throw error
  }
}

type Method = (...args: unknown[]) => Promise<unknown>

/** An object whose named methods are calls; everything else is as it is. */
function guarded<T extends object>(target: T, methods: readonly string[], name: string, faults: Faults): T {
  return new Proxy(target, {
    get(object, key) {
      const member = Reflect.get(object, key, object) as unknown
      if (typeof member !== 'function') return member
      if (!methods.includes(String(key))) return member.bind(object)
      return (...args: unknown[]) =>
        faults.run(`${name}.${String(key)}`, () => (member as Method).apply(object, args))
    },
  })
}

const UNWRAPPED = Symbol('unwrapped')

function faultyStatement(real: D1PreparedStatement, faults: Faults): D1PreparedStatement {
  return new Proxy(guarded(real, ['all', 'run', 'first', 'raw'], 'd1', faults), {
    get(object, key) {
      if (key === UNWRAPPED) return real
      if (key === 'bind') return (...values: unknown[]) => faultyStatement(real.bind(...values), faults)
      return Reflect.get(object, key) as unknown
    },
  })
}

type Wrapped = D1PreparedStatement & { [UNWRAPPED]: D1PreparedStatement }

function faultyDatabase(database: D1Database, faults: Faults): D1Database {
  const session = (start?: string) => {
    const real = database.withSession(start)
    return {
      prepare: (sql: string) => faultyStatement(real.prepare(sql), faults),
      batch: (statements: Wrapped[]) =>
        faults.run('d1.batch', () => real.batch(statements.map((each) => each[UNWRAPPED]))),
      getBookmark: () => real.getBookmark(),
    }
  }
  return { withSession: session } as unknown as D1Database
}

function faultyNamespace(namespace: DurableObjectNamespace, faults: Faults): DurableObjectNamespace {
  const stub = (real: object) =>
    new Proxy(real, {
      get: (object, key) => {
        const method = Reflect.get(object, key) as Method
        return (...args: unknown[]) =>
          faults.run(`do.${String(key)}`, () => Reflect.apply(method, object, args) as Promise<unknown>)
      },
    })
  return new Proxy(namespace, {
    get(object, key) {
      const member = Reflect.get(object, key, object) as (...args: unknown[]) => object
      if (key === 'get' || key === 'getByName')
        return (...args: unknown[]) => stub(member.apply(object, args))
      return typeof member === 'function' ? member.bind(object) : member
    },
  })
}

/** The bindings with every call to D1, R2, Durable Objects and `queue` under the plan. */
export function faultyBindings(env: Env, queue: Pick<Queue, 'send' | 'sendBatch'>, plan: FaultPlan): Env {
  const faults = new Faults(plan)
  const databases = Object.keys(env).filter((name) => name === 'DIRECTORY' || /^SHARD_/.test(name))
  const changed: Record<string, unknown> = {
    ARTIFACTS: guarded(
      env.ARTIFACTS,
      ['put', 'get', 'delete', 'head', 'list', 'createMultipartUpload'],
      'r2',
      faults,
    ),
    WORK: guarded(queue, ['send', 'sendBatch'], 'queue', faults),
    RATE_LIMITS: faultyNamespace(env.RATE_LIMITS as unknown as DurableObjectNamespace, faults),
    RUNNER_POOLS: faultyNamespace(env.RUNNER_POOLS as unknown as DurableObjectNamespace, faults),
    SCAN_VIEWERS: faultyNamespace(env.SCAN_VIEWERS as unknown as DurableObjectNamespace, faults),
  }
  for (const name of databases) {
    changed[name] = faultyDatabase(env[name as 'DIRECTORY'], faults)
  }
  return new Proxy(env, { get: (target, name) => changed[String(name)] ?? Reflect.get(target, name) })
}

/** Fails the k-th call, from 1, and no other. `reached` tells afterwards whether there was one. */
export function failing(k: number, kind: FaultKind): { plan: FaultPlan; reached(): string | null } {
  let calls = 0
  let reached: string | null = null
  return {
    plan: (call) => {
      if (++calls !== k) return null
      reached = call
      return kind
    },
    reached: () => reached,
  }
}

/** Lets every call pass. */
export const noFaults: FaultPlan = () => null
