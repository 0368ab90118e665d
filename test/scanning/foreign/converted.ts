import type { ConvertedResult } from '../../../src/scanning/foreign/convert.ts'
import { openForeign } from '../../../src/scanning/foreign/index.ts'
import type { OpenBytes } from '../../../src/scanning/results/index.ts'
import { Result } from '../../../src/scanning/sensors/result.ts'

/** A document as R2 gives it, in pieces of `size` bytes. */
export const storedAs = (document: unknown, size = 50_000): OpenBytes => {
  const bytes = new TextEncoder().encode(typeof document === 'string' ? document : JSON.stringify(document))
  return async (range) => {
    const part = range ? bytes.subarray(range.offset, range.offset + range.length) : bytes
    let at = 0
    return new ReadableStream({
      pull(controller) {
        if (at >= part.length) return controller.close()
        controller.enqueue(part.slice(at, at + size))
        at += size
      },
    })
  }
}

async function all<T>(slices: AsyncIterable<readonly T[]>): Promise<T[]> {
  const list: T[] = []
  for await (const slice of slices) list.push(...slice)
  return list
}

/** A converted result as one document, held against the envelope's schema and its indexes against its lists. */
export async function wholeOf({ source }: ConvertedResult): Promise<Result> {
  const whole = {
    ...source.head,
    packages: await all(source.packages()),
    vulnerabilities: await all(source.vulnerabilities()),
    findings: await all(source.findings()),
  }
  const { packages, vulnerabilities, findings } = Result.parse(whole)
  if (packages.length !== source.counts.packages) throw new Error('packages are not as counted')
  if (vulnerabilities.length !== source.counts.vulnerabilities)
    throw new Error('advisories are not as counted')
  if (findings.length !== source.counts.findings) throw new Error('findings are not as counted')
  for (const finding of findings) {
    if (!packages[finding.package] || !vulnerabilities[finding.vulnerability]) {
      throw new Error('a finding refers to nothing')
    }
  }
  return whole
}

export async function convert(document: unknown, asked: readonly string[] = [], size?: number) {
  const converted = await openForeign(storedAs(document, size), asked)
  return converted && { ...(await wholeOf(converted)), found: converted.image, id: converted.id }
}
