import { elementsOf } from './envelope-scanner.ts'

/** Opens the stored document, or a part of it, as often as it is asked. */
export type OpenBytes = (range?: { offset: number; length: number }) => Promise<ReadableStream<Uint8Array>>

/** Where a slice lies in the document, bytes. */
export interface StoredSlice {
  from: number
  to: number
  elements: number
}

type NumberedSlice = StoredSlice & { number: number }

/** Elements of the slices, each by its number; `wanted` passes over the others. */
export async function* readStored(
  open: OpenBytes,
  slices: readonly StoredSlice[],
  wanted: (slice: number) => boolean = () => true,
): AsyncGenerator<{ number: number; elements: unknown[] }> {
  for (const run of runsOf(slices, wanted)) {
    const [first, last] = [run[0]!, run.at(-1)!]
    const bytes = await open({ offset: first.from, length: last.to - first.from })
    for await (const { slice, text } of cut(bytes, run)) {
      const elements = elementsOf({ text, elements: slice.elements, whole: false })
      yield { number: slice.number, elements }
    }
  }
}

/** Slices next to each other are read as one part of the document. */
function runsOf(slices: readonly StoredSlice[], wanted: (slice: number) => boolean): NumberedSlice[][] {
  const runs: NumberedSlice[][] = []
  let previous = -1
  for (const [number, slice] of slices.entries()) {
    if (!wanted(number)) continue
    const numbered = { ...slice, number }
    if (runs.length > 0 && previous === number - 1) runs.at(-1)!.push(numbered)
    else runs.push([numbered])
    previous = number
  }
  return runs
}

const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })

/** The text of each slice of a run, from the bytes of the whole run. */
async function* cut(bytes: ReadableStream<Uint8Array>, run: readonly NumberedSlice[]) {
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
export async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void> {
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
