import type { Result } from '../../scanning/sensors/result.ts'
import type { Incoming } from './incoming.ts'
import type { Location } from './locations.ts'

/** Paths and layer indexes of a result's packages by package id, each once, ordered. */
export function placesOf(
  incoming: Pick<Incoming, 'packages'>,
  packageIds: ReadonlyMap<string, number>,
  image: Result['image'],
): Map<number, Location[]> {
  const layers = new Map((image?.layers ?? []).map((layer, index) => [layer.diffId ?? layer.digest, index]))
  const places = new Map<number, Location[]>()
  for (const { key, listed } of incoming.packages) {
    const byText = new Map<string, Location>()
    for (const { locations } of listed) {
      for (const { path, layer } of locations) {
        const place: Location = [path, layer === null ? null : (layers.get(layer) ?? null)]
        byText.set(JSON.stringify(place), place)
      }
    }
    const ordered = [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, place]) => place)
    if (ordered.length > 0) places.set(packageIds.get(key)!, ordered)
  }
  return places
}
