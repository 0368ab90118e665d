import { findCredential, presentedKey } from '../../auth/credentials.ts'
import type { AgentContext, BaseContext } from '../../context.ts'
import { openSocket, realTimer, type Timer } from '../../db/live-socket.ts'
import { runnerPool } from '../../db/objects.ts'
import { directoryDb } from '../../db/shards.ts'
import { parseJobWireId } from '../../ids.ts'
import { tellViewers } from '../tell-viewers.ts'
import { type RunnerIdentity, runnerOf } from './runner-identity.ts'

export const MAX_WAIT_SECONDS = 25 // below the 30 s after which clients and proxies give a reply up

const MAX_WAKES = 4 // claims of one poll behind the first

/** A poll that was asked to wait so many seconds for a job. */
export interface Waiting {
  seconds: number
  request: Pick<Request, 'headers' | 'signal'>
}

/**
 * Polls, and where there is no job waits in the pool's line until work is announced, then polls again: with the key
 * and the clock of that moment. While it waits it asks no database. Only agents that lease wait; a client that has
 * left claims nothing. The scans of the jobs handed out are shown as claimed.
 */
export async function waitForJob<Job extends { id: string }>(
  ctx: AgentContext,
  waiting: Waiting,
  poll: (ctx: AgentContext) => Promise<Job[]>,
  timer: Timer = realTimer,
): Promise<Job[]> {
  const began = Date.now()
  const first = await poll(ctx)
  const jobs =
    first.length > 0 || !mayWait(ctx, waiting) ? first : await waitInLine(ctx, waiting, began, poll, timer)
  for (const { id } of jobs) {
    const place = parseJobWireId(id)
    if (place) tellViewers(ctx, place.org, [place.jobId])
  }
  return jobs
}

const mayWait = ({ credential: { agent } }: AgentContext, { seconds, request }: Waiting): boolean =>
  seconds > 0 &&
  !request.signal.aborted &&
  agent !== null &&
  (JSON.parse(agent.capabilities) as string[]).includes('lease')

async function waitInLine<Job>(
  ctx: AgentContext,
  { seconds, request }: Waiting,
  began: number,
  poll: (ctx: AgentContext) => Promise<Job[]>,
  timer: Timer,
): Promise<Job[]> {
  const place: [string, string][] = [
    ['agent', ctx.credential.agent!.id],
    ['ago', String(Date.now() - began)],
  ]
  const line = await openSocket(runnerPool(ctx.env, runnerOf(ctx).pool), place, timer)
  if (line === 'refused' || line === 'unreachable') return []
  try {
    for (let wakes = 0; wakes < MAX_WAKES; wakes++) {
      const left = began + seconds * 1000 - Date.now()
      if ((await line.next(left, request.signal)) !== 'told') return []
      const jobs = await poll(await admittedAgain(ctx, request))
      line.say(jobs.length > 0 ? 'job' : 'none')
      if (jobs.length > 0) return jobs
    }
    return []
  } finally {
    line.close()
  }
}

/** A runner that stops has its waiting poll answered: no job is leased to who will not run it. Failure harms nothing. */
export async function leaveLine(ctx: BaseContext, { pool }: RunnerIdentity, agentId: string): Promise<void> {
  await runnerPool(ctx.env, pool)
    .leave(agentId)
    .catch(() => {})
}

/** The caller as it is now: a key that was revoked meanwhile is UNAUTHORIZED, as at any request. */
async function admittedAgain(ctx: AgentContext, { headers }: Waiting['request']): Promise<AgentContext> {
  const now = Date.now()
  const directory = directoryDb(ctx.env, ctx.directory.meter)
  const agentId = ctx.credential.agent?.id ?? null
  const credential = await findCredential(directory, presentedKey(headers), now, agentId)
  return { ...ctx, directory, now, credential }
}
