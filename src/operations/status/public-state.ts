import type { State } from './assess.ts'

const FRESH = 10_000 // ms that a state is told again: a flood costs one look in that time
const LOOK_LIMIT = 3000 // ms; a look takes less, unless the request that makes it was cancelled
const PAUSE = 50 // ms between two glances at a look that another request makes

/**
 * The state of the service for anybody: one `look` in 10 seconds and isolate, however many ask at once. While one
 * request looks the others are told the state before, or wait for the first one, `limit` ms at most.
 */
export function sharedState<Ctx>(
  look: (ctx: Ctx) => Promise<State>,
  limit = LOOK_LIMIT,
): (ctx: Ctx) => Promise<State> {
  let known: { state: State; until: number } | null = null
  let lookingUntil = 0
  const lookAround = async (ctx: Ctx, now: number): Promise<State> => {
    lookingUntil = now + limit
    try {
      const state = await look(ctx)
      known = { state, until: now + FRESH }
      return state
    } finally {
      lookingUntil = 0
    }
  }
  return async (ctx) => {
    const began = Date.now()
    for (let now = began; now < began + limit; now = Date.now()) {
      if (known && now < known.until) return known.state
      if (now >= lookingUntil) break
      if (known) return known.state
      await scheduler.wait(PAUSE)
    }
    return lookAround(ctx, Date.now())
  }
}
