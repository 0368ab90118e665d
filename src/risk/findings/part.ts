import type { Context } from '../../context.ts'
import type { Result } from '../../scanning/sensors/result.ts'
import type { Acceptance } from './accept.ts'
import type { Part } from './changes.ts'
import { heldByOthers, touchedPackages } from './effects.ts'
import type { Incoming } from './incoming.ts'
import { withdraw } from './leaving.ts'
import { chunkLocations, type Location, type Locations } from './locations.ts'
import { lookAround } from './look-around.ts'
import { newMatchId } from './match-id.ts'
import { placesOf } from './places.ts'
import { planIngest } from './plan.ts'
import type { FindingsState } from './state.ts'

/** Package ids, both ends included. */
export interface Range {
  from: number
  to: number
}

/**
 * Decides everything about the packages of `state`: all of the artifact, or those of a window. Asks about other
 * artifacts only where the result makes that necessary, in one round trip.
 */
export async function decide(
  ctx: Context,
  state: FindingsState,
  incoming: Incoming,
  builds: Acceptance['builds'],
  image: Result['image'],
  window: Range | null,
): Promise<Part> {
  const plan = planIngest(state, incoming, { builds }, newMatchId)
  const listed = placesOf(incoming, state.packageIds, image)
  const leaving = plan.matches.filter((match) => match.leaving !== 0)
  const perhaps = leaving.map((match) => match.package).filter((id) => heldByOthers(plan, id))
  const unlisted = [...state.linked].some((id) => !listed.has(id))
  const mayKeep =
    unlisted && state.locations.size > 0 && (window !== null || !isSame(listed, state.locations))
  const around = await lookAround(ctx.db, ctx.organization.num, state.artifact.id, {
    leaving,
    packages: [...new Set([...touchedPackages(plan), ...perhaps])],
    places: mayKeep ? (window ?? ALL) : null,
  })
  withdraw(plan.matches, around.shown)
  const kept = [...around.places].filter(([id]) => state.linked.has(id))
  return {
    plan,
    around,
    places: kept.length === 0 ? listed : new Map<number, readonly Location[]>([...kept, ...listed]),
  }
}

const ALL: Range = { from: 0, to: Number.MAX_SAFE_INTEGER }

function isSame(listed: Locations, stored: ReadonlyMap<number, string>): boolean {
  const chunks = chunkLocations(listed)
  return chunks.length === stored.size && chunks.every(({ chunk, digest }) => stored.get(chunk) === digest)
}
