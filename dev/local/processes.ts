import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'

const STOP_GRACE_MS = 15_000 // the runner hands a job back within ten seconds
const KEPT_CHARS = 2000

/** Starts children in process groups of their own and ends all of them, with what they started. */
export class Processes {
  private readonly children = new Set<ChildProcess>()
  #stopping: Promise<void> | null = null

  /** Children end because they are told to. */
  get isStopping(): boolean {
    return this.#stopping !== null
  }

  /** What is left when this process ends, however it does, is killed with it. */
  constructor() {
    process.on('exit', () => {
      for (const child of this.children) signalGroup(child, 'SIGKILL')
    })
  }

  /** Throws once everything is being stopped: nothing starts behind a Ctrl-C. */
  start(command: string, args: string[], options: SpawnOptions): ChildProcess {
    if (this.isStopping) throw new Error(`${command} is not started: everything is being stopped`)
    const child = spawn(command, args, { ...options, detached: true })
    this.children.add(child)
    child.once('exit', () => this.children.delete(child))
    return child
  }

  /** Runs a program to its end; rejects with what it said when its exit code is not 0. */
  async run(command: string, args: string[], options: SpawnOptions): Promise<void> {
    const child = this.start(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', (chunk) => {
        said = (said + String(chunk)).slice(-KEPT_CHARS)
      })
    const code = await new Promise((resolve, reject) => child.once('close', resolve).once('error', reject))
    if (code !== 0) throw new Error(`${command} ${args[0]} ended with code ${code}: ${said.trim()}`)
  }

  /** SIGTERM to every group, SIGKILL to what is left after the grace period; resolves when all have ended. */
  async stop(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return signalGroup(child, 'SIGKILL')
    const ended = new Promise((resolve) => child.once('exit', resolve))
    signalGroup(child, 'SIGTERM')
    const kill = setTimeout(() => signalGroup(child, 'SIGKILL'), STOP_GRACE_MS)
    await ended
    clearTimeout(kill)
    signalGroup(child, 'SIGKILL')
  }

  /** Ends the children one after another, the youngest first: a runner before the Worker it reports to. */
  stopAll(): Promise<void> {
    this.#stopping ??= (async () => {
      for (const child of [...this.children].reverse()) await this.stop(child)
    })()
    return this.#stopping
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid) process.kill(-child.pid, signal)
  } catch {
    // the group has ended already
  }
}
