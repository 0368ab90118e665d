import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** Whether a process runs. One that is dead and only waits to be reaped does not. */
export async function runs(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  return stat !== null && !/^\d+ \(.*\) [ZX]/s.test(stat)
}

/** Settles with true when the process has ended; a kill takes effect a moment after it was sent. */
export async function ended(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 500 && (await runs(pid)); tries++) await sleep(10)
  return !(await runs(pid))
}
