const MAX_CHUNK_CHARACTERS = 330_000 // a character takes up to 3 bytes: a megabyte, of the 2 MB that a bound value may hold

/** A list as JSON arrays that are each small enough for one bound value, with the index of each one's first element. */
export function jsonChunks(list: readonly unknown[]): { from: number; json: string }[] {
  const chunks: { from: number; json: string }[] = []
  let parts: string[] = []
  let size = 0
  let from = 0
  for (const [index, element] of list.entries()) {
    const json = JSON.stringify(element)
    if (parts.length > 0 && size + json.length > MAX_CHUNK_CHARACTERS) {
      chunks.push({ from, json: `[${parts.join(',')}]` })
      parts = []
      size = 0
      from = index
    }
    parts.push(json)
    size += json.length + 1
  }
  if (parts.length > 0) chunks.push({ from, json: `[${parts.join(',')}]` })
  return chunks
}
