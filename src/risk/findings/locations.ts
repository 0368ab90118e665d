import { textDigest } from '../../crypto/text-digest.ts'
import { gunzipText } from './gzip-text.ts'

/** Where a package lies in an image: path, and the index of the layer that brought it (null: unknown). */
export type Location = readonly [path: string, layer: number | null]

/** Package id to its locations, ordered by path. */
export type Locations = ReadonlyMap<number, readonly Location[]>

export interface LocationChunk {
  /** The smallest package id in it; a package lies in the last chunk that does not start after it. */
  chunk: number
  digest: string
  json: string
}

const CHUNK_CHARACTERS = 8_000 // what a list opens for each artifact that it shows one package of; a third of a page
const PACKAGE_CHARACTERS = 350_000 // gzipped and in base64 it stays below 500 kB, far from D1's 2 MB a value

/** Cuts locations into chunks by package id. A package that alone is too large keeps its first paths. */
export class LocationChunker {
  private chunk = 0
  private parts: string[] = []
  private size = 0

  /** Locations of packages above all those before. Returns the chunks that are complete. */
  add(locations: Locations): LocationChunk[] {
    const complete: LocationChunk[] = []
    for (const [id, places] of [...locations].sort(([a], [b]) => a - b)) {
      if (places.length === 0) continue
      const part = `"${id}":${JSON.stringify(withinChunk(places))}`
      if (this.size + part.length > CHUNK_CHARACTERS) complete.push(...this.end())
      if (this.parts.length === 0) this.chunk = id
      this.parts.push(part)
      this.size += part.length
    }
    return complete
  }

  /** The chunk that is left, if any. */
  end(): LocationChunk[] {
    const { chunk, parts } = this
    if (parts.length === 0) return []
    this.parts = []
    this.size = 0
    const json = `{${parts.join(',')}}`
    return [{ chunk, digest: textDigest(json), json }]
  }
}

export function chunkLocations(locations: Locations): LocationChunk[] {
  const chunker = new LocationChunker()
  return [...chunker.add(locations), ...chunker.end()]
}

function withinChunk(places: readonly Location[]): readonly Location[] {
  let size = 0
  const end = places.findIndex(([path]) => {
    size += path.length * 2 + 16
    return size > PACKAGE_CHARACTERS
  })
  return end === -1 ? places : places.slice(0, end)
}

/** What `artifact_locations.data` holds, through `gunzipText`. */
export async function decodeLocations(data: string): Promise<Map<number, Location[]>> {
  const places = JSON.parse(await gunzipText(data)) as Record<string, Location[]>
  return new Map(Object.entries(places).map(([id, list]) => [Number(id), list]))
}
