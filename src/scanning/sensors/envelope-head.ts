/** What says where an upload belongs. Members are undefined where the text does not hold them completely. */
export interface EnvelopeHead {
  version?: unknown
  fence?: unknown
  scanId?: unknown
  /** Of the body from before envelopes had versions. */
  requestId?: unknown
  /** What an upload without a job is about. */
  image?: unknown
}

/** True once nothing more can be found that matters: a fence in an envelope 1.1, the image in any other. */
export const isAddressed = ({ version, fence, scanId, image }: EnvelopeHead): boolean =>
  scanId !== undefined &&
  version !== undefined &&
  (version === '1.1' ? fence !== undefined : image !== undefined)

/**
 * Reads `version`, `fence`, `requestId`, `image` and `scan.id` from the beginning of a JSON object without parsing what lies
 * between: a result of many megabytes is never held as a tree. Text that is not JSON gives whatever was found before.
 */
export function envelopeHead(text: string): EnvelopeHead {
  const head: EnvelopeHead = {}
  let at = skipSpace(text, 0)
  if (text[at] !== '{') return {}
  at = skipSpace(text, at + 1)
  while (text[at] === '"' && !isAddressed(head)) {
    const keyEnd = endOfString(text, at)
    const colon = skipSpace(text, keyEnd)
    if (text[colon] !== ':') break
    const start = skipSpace(text, colon + 1)
    const end = endOfValue(text, start)
    if (end > text.length) break
    const key = parse(text.slice(at, keyEnd))
    if (key === 'version' || key === 'fence' || key === 'requestId' || key === 'image')
      head[key] = parse(text.slice(start, end))
    if (key === 'scan')
      head.scanId = (parse(text.slice(start, end)) as { id?: unknown } | null | undefined)?.id
    const comma = skipSpace(text, end)
    if (text[comma] !== ',') break
    at = skipSpace(text, comma + 1)
  }
  return head
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function skipSpace(text: string, at: number): number {
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++
  return at
}

/** Behind the closing quote; beyond the text when there is none. */
function endOfString(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '"') return i + 1
  }
  return text.length + 1
}

/** Behind the value; beyond the text when it goes on. */
function endOfValue(text: string, at: number): number {
  if (text[at] === '"') return endOfString(text, at)
  if (text[at] !== '{' && text[at] !== '[') {
    const end = text.slice(at).search(/[,}\]\s]/)
    return end === -1 ? text.length + 1 : at + end
  }
  let depth = 0
  for (let i = at; i < text.length; i++) {
    const char = text[i]
    if (char === '"') i = endOfString(text, i) - 1
    else if (char === '{' || char === '[') depth++
    else if ((char === '}' || char === ']') && --depth === 0) return i + 1
  }
  return text.length + 1
}
