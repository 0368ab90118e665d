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
import { chunksOf, type OpenBytes, readStored, type StoredSlice } from './stored-slices.ts'

const KEPT_BYTES = 8_000_000 // of JSON, some four times as much in memory: smaller documents are read once

/** What the first reading learns of a list. */
interface FoundList<L extends ResultListName> {
  slices: StoredSlice[]
  /** Elements of the slices, while the document is small. */
  kept: ResultElements[L][][]
  valid: boolean
}

/**
 * Reads a stored envelope 1.1 through once and checks all of it; null when it is not one. A small one stays
 * in memory; of a large one only where its slices lie, and each reading fetches them again. `absent` are members
 * that count where the document has none.
 */
export async function openResult(open: OpenBytes, absent: object = {}): Promise<ResultSource | null> {
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
    const { data } = Result.safeParse(withDefaults(scanner.end(), absent))
    if (!data || RESULT_LISTS.some((list) => !found[list].valid)) return null
    const { packages: _packages, vulnerabilities: _vulnerabilities, findings: _findings, ...head } = data
    return { head, counts: countsOf(found), bytes, ...readers(open, found, keeps) }
  } catch (error) {
    if (error instanceof BrokenEnvelope) return null
    throw error
  }
}

const withDefaults = (rest: unknown, absent: object): unknown =>
  typeof rest === 'object' && rest !== null && !Array.isArray(rest) ? { ...absent, ...rest } : rest

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
  async function* (wanted) {
    for await (const { elements } of readStored(open, slices, wanted)) yield checkedElements(list, elements)!
  }
