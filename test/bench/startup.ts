import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const TIMEOUT_MS = 120_000

/** The parts of a V8 profile that say where time went: `timeDeltas` are microseconds before each sample. */
export interface Profile {
  nodes: { id: number; callFrame: { functionName: string } }[]
  samples: number[]
  timeDeltas: number[]
}

/** Processor time that workerd takes to start the Worker's code, by wrangler's own profile, in milliseconds. */
export async function measureStartup(root: string, dir: string): Promise<number> {
  const outfile = join(dir, 'startup.cpuprofile')
  await promisify(execFile)('wrangler', ['check', 'startup', '--outfile', outfile], {
    ...{ cwd: root, timeout: TIMEOUT_MS, env: { ...process.env, CI: 'true' } },
  })
  return busyMs(JSON.parse(readFileSync(outfile, 'utf8')) as Profile)
}

const WAITING = new Set(['(idle)', '(program)'])

/** Milliseconds of a profile in which JavaScript was compiled, ran or was collected. */
export function busyMs({ nodes, samples, timeDeltas }: Profile): number {
  const waiting = new Set(
    nodes.filter(({ callFrame }) => WAITING.has(callFrame.functionName)).map(({ id }) => id),
  )
  const busy = samples.reduce((sum, id, at) => (waiting.has(id) ? sum : sum + (timeDeltas[at] ?? 0)), 0)
  return busy / 1000
}
