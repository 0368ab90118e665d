import type { Context as HonoContext } from 'hono'
import { findCredential, presentedKey, rememberUse } from '../auth/credentials.ts'
import { isOperator } from '../auth/operator.ts'
import { admits } from '../auth/roles.ts'
import type { AgentContext, BaseContext, Context } from '../context.ts'
import { takeFromBucket } from '../db/objects.ts'
import { directoryDb, newMeter, placedDb } from '../db/shards.ts'
import type { Env } from '../env.ts'
import { newId } from '../ids.ts'
import { logDeferred } from '../log.ts'
import { readBody } from './body.ts'
import type { Endpoint, Input } from './endpoint.ts'
import { type IdempotencyKey, idempotencyKey, rememberReply, replayed } from './idempotency.ts'
import { type Issue, invalid, notFound, problem } from './problems.ts'
import type { Reply } from './reply.ts'
import type { Trail } from './request-log.ts'

/** Handed out with every reply of an organization's shard, taken back by reads. */
const BOOKMARK = 'X-D1-Bookmark'

/** The least role of an organization's API key on the runner routes. */
const AGENT_ROLE = 'ci'

export type Hono = { Bindings: Env; Variables: { base: BaseContext; trail: Trail } }

/** The context of a request before anybody is known. */
export function baseContext(c: HonoContext<Hono>): BaseContext {
  const requestId = newId('request')
  return {
    env: c.env,
    requestId,
    now: Date.now(),
    ip: c.req.header('CF-Connecting-IP') ?? null,
    directory: directoryDb(c.env, newMeter()),
    defer: (work) => c.executionCtx.waitUntil(work.catch(logDeferred(c.env, requestId))),
  }
}

/** Access, then rate limit, then input, then the verb: in this order, for every endpoint. */
export async function serve(endpoint: Endpoint, c: HonoContext<Hono>): Promise<Response> {
  const base = c.get('base')
  const { access, route } = endpoint
  c.get('trail').route = route.operationId
  if (access.kind === 'operator' && !(await isOperator(base.env, c.req.raw.headers))) throw notFound('Route')
  const ctx = access.kind === 'role' || access.kind === 'agent' ? await authenticate(endpoint, c, base) : base
  if (route.rateLimit && 'organization' in ctx) await limit(endpoint, c, ctx as Context)
  const body = route.body
    ? await readBody(c.req.raw, route.maxBodyBytes, access.kind === 'agent')
    : { text: '', json: undefined }
  const input = validate(endpoint, c, body.json)
  const key = route.idempotency ? await idempotencyKey(c.req.raw.headers, route.operationId, body.text) : null
  const reply = key ? await once(ctx as Context, key, endpoint, input) : await endpoint.handle(ctx, input)
  Object.assign(c.get('trail').headers, bookmarkOf(ctx))
  return print(reply)
}

/** Names the state of the shard that the reply shows, for a later read that must not see an older one. */
function bookmarkOf(ctx: object): Record<string, string> {
  const bookmark = 'db' in ctx ? (ctx as Context).db.bookmark : null
  return bookmark ? { [BOOKMARK]: bookmark } : {}
}

async function authenticate(
  endpoint: Endpoint,
  c: HonoContext<Hono>,
  base: BaseContext,
): Promise<Context | AgentContext> {
  const agentId = endpoint.access.kind === 'agent' ? (c.req.query('agentId') ?? null) : null
  const credential = await findCredential(base.directory, presentedKey(c.req.raw.headers), base.now, agentId)
  c.get('trail').organization = credential.organization?.id ?? null
  const use = rememberUse(credential, base.now)
  if (use) base.defer(directoryDb(base.env, newMeter()).run(use)) // beside the request, not on its way
  if (endpoint.access.kind === 'agent') {
    if (credential.kind === 'api_key' && !admits(AGENT_ROLE, credential.role))
      throw problem('FORBIDDEN', `This route is for runners: an API key needs the role ${AGENT_ROLE}`)
    return { ...base, credential }
  }
  const { organization } = credential
  if (credential.kind !== 'api_key' || !organization) {
    throw problem('FORBIDDEN', 'Runner and sensor keys are accepted on the runner routes only')
  }
  if (endpoint.access.kind === 'role' && !admits(endpoint.access.role, credential.role))
    throw problem('FORBIDDEN')
  const bookmark = c.req.method === 'GET' ? c.req.header(BOOKMARK) : undefined
  const db = placedDb(base.env, organization.shard, base.directory.meter, bookmark)
  return {
    ...base,
    organization,
    actor: { kind: 'api_key', id: credential.id, role: credential.role },
    db,
    rememberReply: () => [],
  }
}

/** One bucket for each organization, operation and client address. Every reply from here on says what is left. */
async function limit(endpoint: Endpoint, c: HonoContext<Hono>, ctx: Context): Promise<void> {
  const rule = endpoint.route.rateLimit!
  const bucket = `${ctx.organization.num}:${endpoint.route.operationId}:${ctx.ip ?? 'unknown'}`
  const state = await takeFromBucket(ctx.env, bucket, rule, ctx.now)
  Object.assign(c.get('trail').headers, {
    'X-RateLimit-Limit': String(state.limit),
    'X-RateLimit-Remaining': String(state.remaining),
    'X-RateLimit-Reset': String(Math.ceil(ctx.now / 1000) + state.resetSeconds),
  })
  if (!state.allowed)
    throw problem('RATE_LIMITED', undefined, { headers: { 'Retry-After': String(state.resetSeconds) } })
}

function validate(
  endpoint: Endpoint,
  c: HonoContext<Hono>,
  json: unknown,
): Input<undefined, undefined, undefined> {
  const { route } = endpoint
  const issues: Issue[] = []
  const parse = (schema: typeof route.params, value: unknown) => {
    const parsed = schema?.safeParse(value)
    if (parsed && !parsed.success) {
      issues.push(...parsed.error.issues.flatMap(describe))
    }
    return parsed?.data as undefined
  }
  const input = {
    params: parse(route.params, c.req.param()),
    query: parse(route.query, c.req.query()),
    body: parse(route.body, json),
    request: c.req.raw,
  }
  if (issues.length > 0) throw invalid(...issues.slice(0, 50))
  return input
}

/** A zod issue with a dotted path; an unknown member is named by its own path. */
function describe(issue: { code: string; path: PropertyKey[]; message: string; keys?: string[] }): Issue[] {
  const path = issue.path.map(String)
  if (issue.code === 'unrecognized_keys' && issue.keys) {
    return issue.keys.map((key) => ({ path: [...path, key].join('.'), message: 'Unknown field' }))
  }
  return [{ path: path.join('.'), message: issue.message }]
}

/**
 * Runs a creating verb once for each Idempotency-Key. The verb's own batch finds out whether the key is new, so a first
 * request looks for nothing; one that fails, whatever at, gets the reply to the request that succeeded with its key.
 */
async function once(
  ctx: Context,
  key: IdempotencyKey,
  endpoint: Endpoint,
  input: Input<undefined, undefined, undefined>,
): Promise<Reply | Response> {
  const replay = endpoint.route.idempotency!
  const earlier = replay.asksFirst?.(input.body) ? await replayed(ctx, key, replay) : null
  if (earlier) return earlier
  ctx.rememberReply = (resourceId, status) =>
    rememberReply(ctx.organization.num, ctx.now, key, resourceId, status)
  try {
    return await endpoint.handle(ctx, input)
  } catch (error) {
    const winner = await replayed(ctx, key, replay)
    if (winner) return winner
    throw error
  }
}

function print(reply: Reply | Response): Response {
  if (reply instanceof Response) return reply
  const headers = new Headers(reply.headers)
  if (reply.body === undefined) return new Response(null, { status: reply.status, headers })
  headers.set('Content-Type', 'application/json')
  return new Response(JSON.stringify(reply.body), { status: reply.status, headers })
}
