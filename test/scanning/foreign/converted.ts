import { type ConvertedResult, convertEnvelope } from '../../../src/scanning/foreign/index.ts'
import { Result } from '../../../src/scanning/sensors/result.ts'

/** Lists of a document in slices of `size`. */
export const listsIn = (document: unknown, size = 1000) => {
  const findings = (document as { findings?: Record<string, unknown> } | null)?.findings
  const list = (name: string) =>
    async function* () {
      const records = findings?.[name]
      const all = Array.isArray(records) ? records : []
      for (let at = 0; at < all.length; at += size) yield all.slice(at, at + size)
    }
  return { packages: list('packages'), vulnerabilities: list('vulnerabilities'), bytes: 1000 }
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
  const converted = await convertEnvelope(document, listsIn(document, size), asked)
  return converted && { ...(await wholeOf(converted)), found: converted.image, id: converted.id }
}
