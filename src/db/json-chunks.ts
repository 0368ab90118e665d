const MAX_CHUNK_CHARACTERS = 900_000 // a bound value may hold 2 MB; characters outside ASCII take up to 4 bytes
const MAX_CHUNK_BYTES = 1_000_000

/** A list as JSON arrays that are each small enough for one bound value, with the index of each one's first element. */
export function jsonChunks(list: readonly unknown[]): { from: number; json: string }[] {
  const chunks: { from: number; json: string }[] = []
  let parts: string[] = []
  let size = 0
  let from = 0
  for (const [index, element] of list.entries()) {
    const json = JSON.stringify(element)
    const bytes = byteLength(json) + 1
    if (parts.length > 0 && (size + bytes > MAX_CHUNK_BYTES || size + json.length > MAX_CHUNK_CHARACTERS)) {
      chunks.push({ from, json: `[${parts.join(',')}]` })
      parts = []
      size = 0
      from = index
    }
    parts.push(json)
    size += bytes
  }
  if (parts.length > 0) chunks.push({ from, json: `[${parts.join(',')}]` })
  return chunks
}

/** UTF-8 bytes of a text, without encoding it. */
function byteLength(text: string): number {
  let bytes = text.length
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code > 0x7f) bytes += code > 0x7ff && (code < 0xd800 || code > 0xdfff) ? 2 : 1
  }
  return bytes
}
