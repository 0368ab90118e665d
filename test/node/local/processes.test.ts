import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { Processes } from '../../../dev/local/processes.ts'
import { ended } from '../../../scanner-runner/test/support/processes.ts'

describe('the processes of a start', () => {
  it('end together with what they started, and no other starts behind them', async () => {
    const processes = new Processes()
    const child = processes.start('sh', ['-c', 'sleep 600 & echo $!; wait'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(child.stdout!, 'data')) as [Buffer]
    await Promise.all([processes.stopAll(), processes.stopAll()])
    expect(child.signalCode).toBe('SIGTERM')
    expect(await ended(Number(line))).toBe(true)
    expect(processes.isStopping).toBe(true)
    expect(() => processes.start('sleep', ['600'], {})).toThrow()
  })

  it('that run to their end fail with their own words', async () => {
    const processes = new Processes()
    await processes.run('sh', ['-c', 'exit 0'], {})
    await expect(processes.run('sh', ['-c', 'echo why >&2; exit 3'], {})).rejects.toThrow(/code 3: why$/)
    await expect(processes.run('no-such-program', ['x'], {})).rejects.toThrow(/ENOENT/)
  })

  it('that are stopped on their way to their end do not hold it up', async () => {
    const processes = new Processes()
    const run = processes.run('sleep', ['600'], {})
    const failed = expect(run).rejects.toThrow()
    await processes.stopAll()
    await failed
  })
})
