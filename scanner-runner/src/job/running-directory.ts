import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Everything that lives no longer than a job lies below `<work directory>/running`. */
export const runningDirectory = (workDir: string): string => join(workDir, 'running')

/** Empties the running directory at start: what a killed runner left, its engines' processes included. */
export async function clearRunningDirectory(workDir: string): Promise<number> {
  const directory = runningDirectory(workDir)
  const left = await readdir(directory).catch(() => [])
  await removeDirectory(directory)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return left.length
}

/** Makes a job's directory, for the runner's eyes only. */
export async function makeJobDirectory(workDir: string, jobId: string, fence: number): Promise<string> {
  const directory = join(runningDirectory(workDir), `job-${jobId.slice(0, 100)}-${fence}`)
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return directory
}

/** Ends every process that works in the directory, then deletes it with all that is in it. */
export async function removeDirectory(directory: string): Promise<void> {
  await killProcessesOf(directory)
  await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
}

/** Kills processes whose HOME lies in the directory: engines' children that left their group. Linux only. */
async function killProcessesOf(directory: string): Promise<void> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  for (const pid of pids) {
    const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
    const inside = environment.split('\0').some((entry) => entry.startsWith(`HOME=${directory}/`))
    if (!inside || Number(pid) === process.pid) continue
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // it ended by itself
    }
  }
}
