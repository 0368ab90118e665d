import { expect, it } from 'vitest'
import { costOf } from '../../bench/http.ts'
import { readOptions } from '../../bench/options.ts'
import { ticksOf } from '../../bench/processes.ts'
import { busyMs } from '../../bench/startup.ts'

it('counts of a profile what was neither idle nor outside JavaScript, in milliseconds', () => {
  const node = (id: number, functionName: string) => ({ id, callFrame: { functionName } })
  const nodes = [
    node(1, '(root)'),
    node(2, '(idle)'),
    node(3, '(program)'),
    node(4, 'createApp'),
    node(5, '(garbage collector)'),
  ]
  const samples = [2, 4, 4, 3, 5]
  expect(busyMs({ nodes, samples, timeDeltas: [9000, 1000, 2000, 4000, 500] })).toBe(3.5)
})

it('reads user and system time of a process whose name looks like fields', () => {
  const fields = ['S', ...Array.from({ length: 10 }, () => '7'), '120', '30', '9']
  expect(ticksOf(`42 (a) b 1 2 3) ${fields.join(' ')}`)).toBe(150)
})

it('reads what a request cost from its Server-Timing, and refuses a reply that does not say it', () => {
  const answer = (timing?: string) => ({ status: 200, text: '', ms: 1, headers: { 'server-timing': timing } })
  expect(costOf(answer('d1;desc="trips=2 read=105 written=0", app;dur=7'))).toEqual({
    ...{ roundTrips: 2, rowsRead: 105, rowsWritten: 0, ms: 7 },
  })
  expect(() => costOf(answer())).toThrow('does not say')
})

it('offers three scales, one at a time', () => {
  const scale = (...args: string[]) => readOptions(args, new Date(0)).plan.name
  expect([scale(), scale('--quick'), scale('--full')]).toEqual(['default', 'quick', 'full'])
  expect(() => scale('--quick', '--full')).toThrow('exclude each other')
  expect(() => scale('--slow')).toThrow('--slow')
})
