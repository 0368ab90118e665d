import type { Database } from '../../../src/db/database.ts'

const ROUND_TRIPS = new Set(['batch', 'all', 'first', 'run'])

interface Turn {
  /** Resolves when the task waits for its next round trip or has ended. */
  ready: Promise<void>
  go(): void
  ended: boolean
}

/** A database whose every round trip waits for its turn. */
function gated(db: Database, wait: () => Promise<void>): Database {
  return new Proxy(db, {
    get(target, name) {
      const member = Reflect.get(target, name, target) as unknown
      if (typeof member !== 'function') return member
      if (!ROUND_TRIPS.has(String(name))) return member.bind(target)
      return async (...args: unknown[]) => {
        await wait()
        return (member as (...args: unknown[]) => unknown).apply(target, args)
      }
    },
  })
}

function start(db: Database, task: (db: Database) => Promise<unknown>): Turn {
  let signal = () => {}
  let release = () => {}
  const turn: Turn = { ready: Promise.resolve(), go: () => {}, ended: false }
  const nextReady = () => {
    turn.ready = new Promise((resolve) => {
      signal = resolve
    })
  }
  nextReady()
  turn.go = () => {
    nextReady()
    release()
  }
  const wait = () =>
    new Promise<void>((resolve) => {
      release = resolve
      signal()
    })
  const running = task(gated(db, wait))
  running
    .catch(() => {})
    .finally(() => {
      turn.ended = true
      signal()
    })
  return Object.assign(turn, { running })
}

/**
 * Runs two tasks whose round trips alternate as `schedule` says ('a' or 'b' for each one; its last letter goes
 * on). Between two round trips of one task the other's are complete. Rejects when a task does.
 */
export async function interleave(
  databases: readonly [Database, Database],
  tasks: readonly [(db: Database) => Promise<unknown>, (db: Database) => Promise<unknown>],
  schedule: string,
): Promise<void> {
  const turns = [start(databases[0], tasks[0]), start(databases[1], tasks[1])] as (Turn & {
    running: Promise<unknown>
  })[]
  await Promise.all(turns.map((turn) => turn.ready))
  for (let index = 0; turns.some((turn) => !turn.ended); index++) {
    const wanted = turns[(schedule[index] ?? schedule.at(-1)) === 'a' ? 0 : 1]!
    const turn = wanted.ended ? turns.find((other) => !other.ended)! : wanted
    turn.go()
    await turn.ready
  }
  await Promise.all(turns.map((turn) => turn.running))
}
