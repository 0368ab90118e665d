import { describe, expect, it } from 'vitest'
import { assess, CRON_LATE, LIMITS, RUNNERS_MISSED, SLOW_ANSWER } from '../../src/operations/status/assess.ts'
import type { BacklogName, Facts, ShardFacts } from '../../src/operations/status/facts.ts'

const AT = Date.UTC(2026, 10, 21, 12)
const NONE = { count: 0, isAtLeast: false, oldestAt: null }
const BACKLOGS = Object.keys(LIMITS) as BacklogName[]

const aShard = (name: string, change: Partial<ShardFacts> = {}): ShardFacts => ({
  ...{ name, ms: 5, error: null, sensorQueues: [] },
  backlogs: Object.fromEntries(BACKLOGS.map((backlog) => [backlog, NONE])) as ShardFacts['backlogs'],
  ...change,
})

const lost = (name: string) => aShard(name, { error: 'no answer', backlogs: null })

/** A shard in which something waits since `age` ms. */
const waiting = (name: string, backlog: BacklogName, age: number) => {
  const shard = aShard(name)
  shard.backlogs![backlog] = { count: 1, isAtLeast: false, oldestAt: AT - age }
  return shard
}

const facts = (change: Partial<Facts> = {}): Facts => ({
  at: AT,
  directory: { name: 'directory', ms: 5, error: null },
  runners: { alive: 1, versions: { '1.0.0': 1 }, lastHeartbeatAt: AT },
  cron: { ranAt: AT - 60_000, ms: 10, failures: 0, failed: [] },
  shards: [aShard('00'), aShard('01')],
  ...change,
})

const nobody = { alive: 0, versions: {}, lastHeartbeatAt: null }
const unreachable = { name: 'directory', ms: 2000, error: 'no answer' }
const cronAt = (age: number, failed: string[] = []) => ({
  cron: { ranAt: AT - age, ms: 10, failures: failed.length, failed },
})

const CASES: [what: string, change: Partial<Facts>, state: string, reasons: string[]][] = [
  ['nothing is wrong', {}, 'ok', []],
  [
    'the directory does not answer',
    { directory: unreachable, runners: null, cron: null },
    'down',
    ['database_unreachable@directory'],
  ],
  [
    'one of two shards does not answer',
    { shards: [aShard('00'), lost('01')] },
    'degraded',
    ['database_unreachable@01'],
  ],
  [
    'no shard answers',
    { shards: [lost('00'), lost('01')] },
    'down',
    ['database_unreachable@00', 'database_unreachable@01'],
  ],
  ['an answer takes just as long as it may', { shards: [aShard('00', { ms: SLOW_ANSWER })] }, 'ok', []],
  [
    'an answer takes longer',
    { shards: [aShard('00', { ms: SLOW_ANSWER + 1 })] },
    'degraded',
    ['database_slow@00'],
  ],
  ['the sweeps never ran', { cron: null }, 'degraded', ['cron_never_ran@service']],
  ['the sweeps are just not late', cronAt(CRON_LATE), 'ok', []],
  ['the sweeps are late', cronAt(CRON_LATE + 1), 'degraded', ['cron_late@service']],
  [
    'a sweep failed the last time',
    cronAt(0, ['01/leases.expire: overloaded']),
    'ok',
    ['sweeps_failed@service'],
  ],
  ['no runner lives and nothing waits', { runners: nobody }, 'ok', []],
  [
    'no runner lives and a job has just come',
    { runners: nobody, shards: [waiting('00', 'cloudQueue', RUNNERS_MISSED)] },
    'ok',
    [],
  ],
  [
    'no runner lives and a job waits',
    { runners: nobody, shards: [waiting('00', 'cloudQueue', RUNNERS_MISSED + 1)] },
    'degraded',
    ['no_runners@service'],
  ],
  [
    'a runner lives and a job waits as long',
    { shards: [waiting('00', 'cloudQueue', RUNNERS_MISSED + 1)] },
    'ok',
    [],
  ],
]

describe('the state of the service', () => {
  const codesOf = (change: Partial<Facts>) => {
    const { state, reasons } = assess(facts(change))
    return [state, reasons.map(({ code, where }) => `${code}@${where}`)]
  }

  it.each(CASES)('when %s', (_what, change, state, reasons) => {
    expect(codesOf(change)).toEqual([state, reasons])
  })

  it('dead letters are a notice', () => {
    expect(codesOf({ shards: [waiting('00', 'deadLetters', 1)] })).toEqual(['ok', ['dead_letters@00']])
  })

  it.each(BACKLOGS.filter((name) => name !== 'deadLetters'))(
    '%s degrades it when its oldest is older than its limit, not before',
    (backlog) => {
      const { age, code } = LIMITS[backlog]
      expect(codesOf({ shards: [waiting('00', backlog, age)] })).toEqual(['ok', []])
      expect(codesOf({ shards: [aShard('00'), waiting('01', backlog, age + 1)] })).toEqual([
        'degraded',
        [`${code}@01`],
      ])
    },
  )

  it('is the worst of its reasons, and each reason has a sentence', () => {
    const shards = [waiting('00', 'outbox', LIMITS.outbox.age * 2), lost('01')]
    const { state, reasons } = assess(facts({ directory: unreachable, runners: null, cron: null, shards }))
    expect(state).toBe('down')
    expect(reasons).toHaveLength(3)
    for (const { message } of reasons) expect(message).toMatch(/\w/)
    expect(reasons.find(({ code }) => code === 'outbox_old')?.message).toContain('60 minutes')
  })
})
