import type { BaseContext, Context } from './context.ts'
import { organizationByNum } from './db/organizations.ts'
import { directoryDb, newMeter, placedDb } from './db/shards.ts'
import type { Env } from './env.ts'
import { newId } from './ids.ts'
import { logDeferred } from './log.ts'

/** The context of work that nobody's request started: queue messages and the cron. */
export function systemBase(
  env: Env,
  execution: Pick<ExecutionContext, 'waitUntil'>,
  now: number,
): BaseContext {
  const requestId = newId('request')
  return {
    env,
    requestId,
    now,
    ip: null,
    directory: directoryDb(env, newMeter()),
    defer: (work) => execution.waitUntil(work.catch(logDeferred(env, requestId))),
  }
}

/** The same inside one organization; null when there is no such organization any more. */
export async function systemContext(base: BaseContext, org: number, job: string): Promise<Context | null> {
  const organization = await organizationByNum(base.directory, org, base.now)
  if (!organization) return null
  return {
    ...base,
    organization,
    actor: { kind: 'system', job },
    db: placedDb(base.env, organization.shard, base.directory.meter),
    rememberReply: () => [],
  }
}
