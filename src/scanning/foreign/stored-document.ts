import {
  BrokenEnvelope,
  chunksOf,
  EnvelopeScanner,
  elementsOf,
  type OpenBytes,
  readStored,
  type StoredSlice,
} from '../results/index.ts'
import { DocumentSplitter } from './document-splitter.ts'
import type { ForeignLists, RecordList } from './envelope.ts'

const KEPT_BYTES = 8_000_000 // of JSON, some four times as much in memory: smaller documents are read once

/** What the first reading learns of a list; the records themselves while the document is small. */
interface FoundList {
  slices: StoredSlice[]
  kept: unknown[][]
}

/** A stored document but for its two long lists, and these. */
export interface StoredDocument {
  /** With `findings` as they are but for the lists. */
  head: unknown
  lists: ForeignLists
}

/** Reads a stored document through once. Throws BrokenEnvelope for one that is not JSON, or has a part or a depth beyond all bounds. */
export async function readDocument(open: OpenBytes): Promise<StoredDocument> {
  const found = { packages: emptyList(), vulnerabilities: emptyList() }
  let bytes = 0
  const scanner = new EnvelopeScanner(({ list, number, from, to, ...slice }) => {
    if (list === 'findings') return
    const { slices, kept } = found[list]
    if (number < slices.length) throw new BrokenEnvelope() // the list comes twice: parsers do not agree which counts
    const records = elementsOf(slice)
    slices.push({ from, to, elements: records.length })
    if (bytes <= KEPT_BYTES) kept.push(records)
  })
  const splitter = new DocumentSplitter((chunk) => scanner.push(chunk))
  for await (const chunk of chunksOf(await open())) {
    bytes += chunk.length
    if (bytes > KEPT_BYTES) for (const list of Object.values(found)) list.kept = []
    splitter.push(chunk)
  }
  const head = splitter.end()
  const isObject = typeof head === 'object' && head !== null && !Array.isArray(head)
  const findings = splitter.findingsFrom < 0 ? null : scanner.end()
  const listOf = ({ slices, kept }: FoundList) =>
    bytes <= KEPT_BYTES ? keptList(kept) : storedList(open, slices, splitter.findingsFrom)
  return {
    head: isObject && findings !== null ? { ...head, findings } : head,
    lists: { packages: listOf(found.packages), vulnerabilities: listOf(found.vulnerabilities), bytes },
  }
}

const emptyList = (): FoundList => ({ slices: [], kept: [] })

/** The number of the first record of each slice. */
function firsts(sizes: readonly number[]): number[] {
  let next = 0
  return sizes.map((size) => {
    next += size
    return next - size
  })
}

function keptList(kept: readonly unknown[][]): RecordList {
  const first = firsts(kept.map(({ length }) => length))
  return {
    slices: kept.length,
    async *read(wanted = () => true) {
      for (const [number, records] of kept.entries())
        if (wanted(number)) yield { first: first[number]!, records }
    },
  }
}

/** Slices are counted from where the findings begin in the document. */
function storedList(open: OpenBytes, slices: readonly StoredSlice[], begin: number): RecordList {
  const first = firsts(slices.map(({ elements }) => elements))
  const placed = slices.map((slice) => ({ ...slice, from: slice.from + begin, to: slice.to + begin }))
  return {
    slices: slices.length,
    async *read(wanted) {
      for await (const { number, elements } of readStored(open, placed, wanted)) {
        yield { first: first[number]!, records: elements }
      }
    },
  }
}
