import { BrokenEnvelope, chunksOf, type OpenBytes } from '../results/index.ts'
import { type ConvertedResult, convertEnvelope } from './convert.ts'
import { convertLegacy } from './legacy.ts'
import { MAX_LEGACY_BYTES } from './limits.ts'
import { readDocument } from './stored-document.ts'

const LEGACY = /^\s*\{\s*"(?:requestId|image|scan|reports)"\s*:/

/**
 * A stored document in another format as a result: an envelope 1.0 of any size, read in slices, or a legacy body of
 * bounded size, read as a whole. `asked` are the job's engines, empty for an upload without one. Null for neither.
 */
export async function openForeign(
  open: OpenBytes,
  asked: readonly string[],
): Promise<ConvertedResult | null> {
  return (await openEnvelope(open, asked)) ?? openLegacy(open, asked)
}

async function openEnvelope(open: OpenBytes, asked: readonly string[]): Promise<ConvertedResult | null> {
  try {
    const { head, lists } = await readDocument(open)
    return await convertEnvelope(head, lists, asked)
  } catch (error) {
    if (error instanceof BrokenEnvelope) return null
    throw error
  }
}

async function openLegacy(open: OpenBytes, asked: readonly string[]): Promise<ConvertedResult | null> {
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for await (const chunk of chunksOf(await open())) {
    bytes += chunk.length
    text += decoder.decode(chunk, { stream: true })
    if (bytes > MAX_LEGACY_BYTES || (text.length >= 64 && !LEGACY.test(text.slice(0, 200)))) return null
  }
  try {
    return convertLegacy(JSON.parse(text + decoder.decode()), asked, bytes)
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}
