import { Result } from '../sensors/result.ts'
import { checkedElements } from './check-elements.ts'
import { BrokenEnvelope, EnvelopeScanner, elementsOf, type Slice } from './envelope-scanner.ts'
import {
  RESULT_LISTS,
  type ReadList,
  type ResultElements,
  type ResultListName,
  type ResultSource,
  readSlices,
} from './result-source.ts'

/** Opens the stored document, or a part of it, as often as it is asked. */
export type OpenBytes = (range?: { offset: number; length: number }) => Promise<ReadableStream<Uint8Array>>

const KEPT_BYTES = 8_000_000 // of JSON, some four times as much in memory: smaller documents are read once

interface StoredSlice {
  from: number
  to: number
  elements: number
}

/** What the first reading learns of a list. */
interface FoundList<L extends ResultListName> {
  slices: StoredSlice[]
  /** Elements of the slices, while the document is small. */
  kept: ResultElements[L][][]
  valid: boolean
}

/**
 * Reads a stored envelope 1.1 through once and checks all of it; null when it is not one. A small one stays
 * in memory; of a large one only where its slices lie, and each reading fetches them again.
 */
export async function openResult(open: OpenBytes): Promise<ResultSource | null> {
  const found: Found = { packages: emptyList(), vulnerabilities: emptyList(), findings: emptyList() }
  let bytes = 0
  let keeps = true
  const scanner = new EnvelopeScanner((slice) => note(found, slice, keeps))
  try {
    for await (const chunk of chunksOf(await open())) {
      bytes += chunk.length
      if (keeps && bytes > KEPT_BYTES) {
        keeps = false
        for (const list of RESULT_LISTS) found[list].kept = []
      }
      scanner.push(chunk)
    }
    const { data } = Result.safeParse(scanner.end())
    if (!data || RESULT_LISTS.some((list) => !found[list].valid)) return null
    const { packages: _packages, vulnerabilities: _vulnerabilities, findings: _findings, ...head } = data
    return { head, counts: countsOf(found), bytes, ...readers(open, found, keeps) }
  } catch (error) {
    if (error instanceof BrokenEnvelope) return null
    throw error
  }
}

type Found = { [L in ResultListName]: FoundList<L> }

const emptyList = <L extends ResultListName>(): FoundList<L> => ({ slices: [], kept: [], valid: true })

/** A list that comes once more replaces the one before, whatever that held. */
function note(found: Found, slice: Slice, keeps: boolean): void {
  const list = found[slice.list] as FoundList<ResultListName>
  const given = elementsOf(slice)
  if (slice.number === 0) Object.assign(list, emptyList())
  if (!list.valid) return
  const checked = checkedElements(slice.list, given)
  if (!checked) {
    list.valid = false
    return
  }
  if (checked.length > 0) list.slices.push({ from: slice.from, to: slice.to, elements: checked.length })
  if (keeps) list.kept.push(checked)
}

const countsOf = (found: Found) => {
  const count = (list: ResultListName) => found[list].slices.reduce((sum, { elements }) => sum + elements, 0)
  return {
    packages: count('packages'),
    vulnerabilities: count('vulnerabilities'),
    findings: count('findings'),
  }
}

function readers(
  open: OpenBytes,
  found: Found,
  keeps: boolean,
): { [L in ResultListName]: ReadList<ResultElements[L]> } {
  const reader = <L extends ResultListName>(list: L): ReadList<ResultElements[L]> =>
    keeps ? readSlices(found[list].kept as ResultElements[L][][]) : readAgain(open, list, found[list].slices)
  return {
    packages: reader('packages'),
    vulnerabilities: reader('vulnerabilities'),
    findings: reader('findings'),
  }
}

const readAgain = <L extends ResultListName>(
  open: OpenBytes,
  list: L,
  slices: readonly StoredSlice[],
): ReadList<ResultElements[L]> =>
  async function* (wanted = () => true) {
    for (const run of runsOf(slices, wanted)) {
      const [first, last] = [run[0]!, run.at(-1)!]
      const bytes = await open({ offset: first.from, length: last.to - first.from })
      for await (const { slice, text } of cut(bytes, run)) {
        yield checkedElements(list, elementsOf({ text, elements: slice.elements, whole: false }))!
      }
    }
  }

/** Slices next to each other are read as one part of the document. */
function runsOf(slices: readonly StoredSlice[], wanted: (slice: number) => boolean): StoredSlice[][] {
  const runs: StoredSlice[][] = []
  let previous = -1
  for (const [number, slice] of slices.entries()) {
    if (!wanted(number)) continue
    if (runs.length > 0 && previous === number - 1) runs.at(-1)!.push(slice)
    else runs.push([slice])
    previous = number
  }
  return runs
}

const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })

/** The text of each slice of a run, from the bytes of the whole run. */
async function* cut(bytes: ReadableStream<Uint8Array>, run: readonly StoredSlice[]) {
  let buffer = new Uint8Array(0)
  let offset = run[0]!.from
  const chunks = chunksOf(bytes)
  for (const slice of run) {
    while (offset + buffer.length < slice.to) {
      const { done, value } = await chunks.next()
      if (done) throw new Error('the stored result breaks off')
      const joined = new Uint8Array(buffer.length + value.length)
      joined.set(buffer)
      joined.set(value, buffer.length)
      buffer = joined
    }
    yield { slice, text: decoder.decode(buffer.subarray(slice.from - offset, slice.to - offset)) }
    buffer = buffer.subarray(slice.to - offset)
    offset = slice.to
  }
}

/** Lets go of the stream when the loop over it ends early. */
async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const reader = stream.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel()
  }
}
