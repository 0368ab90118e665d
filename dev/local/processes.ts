import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'

const STOP_GRACE_MS = 15_000 // the runner hands a job back within ten seconds

/** Starts children in process groups of their own and ends all of them, with what they started. */
export class Processes {
  private readonly children = new Set<ChildProcess>()
  /** Children end because they are told to. */
  isStopping = false

  /** What is left when this process ends, however it does, is killed with it. */
  constructor() {
    process.on('exit', () => {
      for (const child of this.children) signalGroup(child, 'SIGKILL')
    })
  }

  start(command: string, args: string[], options: SpawnOptions): ChildProcess {
    const child = spawn(command, args, { ...options, detached: true })
    this.children.add(child)
    child.once('exit', () => this.children.delete(child))
    return child
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
  async stopAll(): Promise<void> {
    this.isStopping = true
    for (const child of [...this.children].reverse()) await this.stop(child)
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid) process.kill(-child.pid, signal)
  } catch {
    // the group has ended already
  }
}
