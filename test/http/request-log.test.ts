import { createExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createApp } from '../../src/app.ts'
import type { Env } from '../../src/env.ts'
import { catchLog, type LogLines } from '../log-lines.ts'
import { aCompleteScan, aHttpRunner, connected } from '../scanning/over-http.ts'
import { emptyPools } from '../scanning/world.ts'
import { type Answer, anOrganization, caller, nobody, theOperator } from '../world.ts'

const JSON_BODY = { 'Content-Type': 'application/json' }
const LEVELS = { 2: 'info', 3: 'info', 4: 'warn', 5: 'error' } as Record<number, string>

let log: LogLines
beforeEach(() => {
  log = catchLog()
})
afterEach(() => void vi.restoreAllMocks())

/** The Worker with some bindings or variables replaced. */
const withEnv = (changes: Partial<Env>): Env =>
  new Proxy(env as unknown as Env, {
    get: (target, name, receiver) =>
      name in changes ? changes[name as keyof Env] : Reflect.get(target, name, receiver),
  })

const ask = (bindings: Env, path: string, init: RequestInit = {}) =>
  createApp().fetch(new Request(`https://api.test${path}`, init), bindings, createExecutionContext())

/** A database that answers nothing. */
const unreachable = {
  withSession: () => ({
    prepare: () => {
      throw new Error('D1_ERROR: Network connection lost')
    },
  }),
} as unknown as D1Database

it('one line a request, whatever becomes of it: who, which operation, how it ended, what it cost', async () => {
  await emptyPools()
  const ours = await anOrganization()
  const { host } = await connected(ours)
  const runner = await aHttpRunner()
  const { scanId } = await aCompleteScan(ours, runner, `${host}/team/app:1.0`)
  const viewer = await ours.as('viewer')
  const org = ours.organization.id
  const body = { body: '{', headers: JSON_BODY }
  const calls: [operation: string, organization: string | null, call: () => Promise<Answer>][] = [
    ['listScans', org, () => ours.get('/api/scans?limit=5')],
    ['getScan', org, () => ours.get(`//api/scans/${scanId}/`)],
    ['getScanSbom', org, () => ours.get(`/api/scans/${scanId}/sbom`)],
    ['getScan', org, () => ours.get('/api/scans/scn_0')],
    ['listScans', org, () => ours.send('HEAD', '/api/scans')],
    ['requestScan', org, () => ours.send('POST', '/api/scans', body)],
    ['createRegistry', org, () => viewer.post('/api/registries', {})],
    ['listScans', null, () => nobody.get('/api/scans')],
    ['listScans', null, () => caller(`hg_ak_${'0'.repeat(48)}`).get('/api/scans')],
    ['pollJobs', null, () => runner.get(`/api/agent/jobs?agentId=${runner.agentId}`)],
    ['pollJobs', org, () => ours.get('/api/agent/jobs')],
    ['createCloudRunner', null, () => theOperator.post('/operator/runners', { name: 'r' })],
    ['createCloudRunner', null, () => nobody.post('/operator/runners', { name: 'r' })],
    ['getHealth', null, () => nobody.get('/api/health')],
    ['getDocumentation', null, () => nobody.get('/docs')],
    ['unmatched', null, () => ours.get(`/api/nothing/${scanId}`)],
    ['unmatched', null, () => ours.send('PATCH', '/api/scans')],
    ['unmatched', null, () => nobody.send('OPTIONS', '/api/scans')],
  ]
  const statuses = new Set<number>()
  for (const [operation, organization, call] of calls) {
    const before = log.of('request').length
    const { status, headers, meter } = await call()
    const lines = log.of('request').slice(before)
    expect(lines, `${operation} ${status}`).toHaveLength(1)
    expect(lines[0]).toMatchObject({
      level: LEVELS[Math.floor(status / 100)],
      method_: LEVELS[Math.floor(status / 100)],
      requestId: headers.get('X-Request-Id'),
      organization,
      route: operation,
      status,
      ms: expect.any(Number),
      roundTrips: meter.trips,
      rowsRead: meter.read,
      rowsWritten: meter.written,
    })
    expect(new Date(lines[0]!.time).getTime()).toBeGreaterThan(Date.now() - 60_000)
    statuses.add(status)
  }
  expect([...statuses].sort()).toEqual([200, 201, 400, 401, 403, 404, 405])
})

it('the line of a refusal names its code, and nothing of what was sent', async () => {
  const ours = await anOrganization()
  const canary = 'canary-4be1'
  const key = `hg_ak_${'4be1'.repeat(12)}`
  const headers = {
    ...JSON_BODY,
    'X-API-Key': key,
    'Idempotency-Key': canary,
    'User-Agent': canary,
    Cookie: canary,
    'X-Request-Id': canary,
    'CF-Connecting-IP': '198.51.100.41',
  }
  const init = { headers, body: JSON.stringify({ [canary]: canary }) }
  const own = { 'Idempotency-Key': canary, 'User-Agent': canary }
  const paths = [
    `/api/scans/${canary}?q=${canary}`,
    `/api/${canary}`,
    `/${canary}`,
    `/api/scans?search=${canary}`,
  ]
  for (const path of paths) {
    await nobody.get(path, { Authorization: `Bearer ${canary}` })
    await ours.get(path, own)
    await ours.send('PUT', path, { body: canary })
  }
  for (const path of ['/api/scans', '/api/registries', '/operator/runners', '/api/scans/upload']) {
    await nobody.send('POST', path, init)
    await ours.post(
      path,
      { [canary]: canary, image: `${canary}/x`, name: canary, url: `https://u:${canary}@h` },
      own,
    )
  }
  expect(log.of('request').length).toBeGreaterThan(15)
  const problems = new Set(log.of('request').map(({ problem }) => problem))
  for (const code of ['UNAUTHORIZED', 'VALIDATION_ERROR', 'NOT_FOUND']) expect(problems).toContain(code)
  for (const secret of [canary, key, ours.adminKey, (env as unknown as Env).OPERATOR_TOKEN!, '198.51.100.41'])
    expect(log.texts.filter((text) => text.includes(secret))).toEqual([])
})

it('an error of our own has its stack in the one line, one of the database its answer', async () => {
  const broken = Object.defineProperty({} as Partial<Env>, 'OPERATOR_TOKEN', {
    get: () => {
      throw new Error('the inside')
    },
  })
  await ask(withEnv(broken), '/operator/runners', { method: 'POST' })
  const headers = { Authorization: `Bearer hg_ak_${'0'.repeat(48)}` }
  const reply = await ask(withEnv({ DIRECTORY: unreachable }), '/api/scans', { headers })
  expect([reply.status, reply.headers.get('Retry-After')]).toEqual([503, '5'])
  const lines = log.of('request')
  expect(lines.map(({ level, status, route }) => [level, status, route])).toEqual([
    ['error', 500, 'createCloudRunner'],
    ['error', 503, 'listScans'],
  ])
  expect(lines[0]!.error).toMatch(/the inside[\s\S]*at /)
  expect(lines[1]!.error).toContain('Network connection lost')
  expect(log.texts).toHaveLength(2)
})

it('LOG_LEVEL says which lines are left out; without it, and with a word that is none, requests are logged', async () => {
  const levels: [string | undefined, number[]][] = [
    [undefined, [200, 404]],
    ['debug', [200, 404]],
    ['info', [200, 404]],
    ['loud', [200, 404]],
    ['warn', [404]],
    ['error', []],
    ['silent', []],
  ]
  for (const [level, expected] of levels) {
    const before = log.texts.length
    const bindings = withEnv({ LOG_LEVEL: level })
    await ask(bindings, '/api/health')
    await ask(bindings, '/api/nothing')
    const statuses = log
      .lines()
      .slice(before)
      .map(({ status }) => status)
    expect([level, statuses]).toEqual([level, expected])
  }
})

it('where Analytics Engine is bound a request is one data point, whatever is logged', async () => {
  const points: AnalyticsEngineDataPoint[] = []
  const METRICS = { writeDataPoint: (point: AnalyticsEngineDataPoint) => void points.push(point) }
  const bindings = withEnv({ METRICS, LOG_LEVEL: 'silent' })
  const ours = await anOrganization()
  await ours.get('/api/scans') // the first use of a key is remembered
  const headers = { Authorization: `Bearer ${ours.adminKey}` }
  await ask(bindings, '/api/scans?search=x', { headers })
  await ask(bindings, '/api/scans')
  await ask(bindings, '/api/nothing')
  const org = ours.organization.id
  expect(points.map(({ indexes, blobs }) => [indexes, blobs])).toEqual([
    [[org], ['request', 'listScans', '2xx', org]],
    [['none'], ['request', 'listScans', '4xx', '']],
    [['none'], ['request', 'unmatched', '4xx', '']],
  ])
  const [, trips, read, written] = points[0]!.doubles as number[]
  expect([trips, read! > 0, written]).toEqual([2, true, 0])
})

it('a dataset that fails harms no request', async () => {
  const METRICS = {
    writeDataPoint: () => {
      throw new Error('quota')
    },
  }
  expect((await ask(withEnv({ METRICS }), '/api/health')).status).toBe(200)
  expect(log.of('data_point_failed')).toHaveLength(1)
})
