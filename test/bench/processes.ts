import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const SERVING = 'workerd'
const TICK_MS = 10 // of the processor times in /proc

/** The workerd processes that this process started: they run the Worker, its databases, buckets and queues. */
const serving = (): number[] =>
  execFileSync('ps', ['-eo', 'pid=,ppid=,comm='], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, name]) => Number(parent) === process.pid && name!.includes(SERVING))
    .map(([pid]) => Number(pid))

/** Bytes of their resident memory. */
export const residentBytes = (): number =>
  execFileSync('ps', ['-o', 'rss=', '-p', serving().join(',')], { encoding: 'utf8' })
    .trim()
    .split(/\s+/)
    .reduce((sum, kib) => sum + Number(kib) * 1024, 0)

/**
 * A clock of the processor time that they have used, in milliseconds; null where the system has no /proc. Unlike
 * the time on the wall it hardly depends on what else the machine does.
 */
export function processorClock(): (() => number) | null {
  if (process.platform !== 'linux') return null
  const pids = serving()
  return () =>
    pids.reduce((sum, pid) => sum + TICK_MS * ticksOf(readFileSync(`/proc/${pid}/stat`, 'utf8')), 0)
}

/** User and system time of a line of /proc/PID/stat. The name in it is in parentheses and may hold anything. */
export function ticksOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}
