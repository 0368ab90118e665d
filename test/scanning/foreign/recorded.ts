declare global {
  interface ImportMeta {
    /** vite's: the modules that a pattern names, each to be loaded when it is wanted. */
    glob(pattern: string, options: object): Record<string, () => Promise<unknown>>
  }
}

/** Engines' recorded outputs (`test/fixtures/engine-outputs`), as vite hands binary files to workerd. */
const FILES = import.meta.glob('../../fixtures/engine-outputs/*.json.gz', {
  query: '?inline',
  import: 'default',
})

// biome-ignore lint/suspicious/noExplicitAny: engines' own documents, read member by member
export type Raw = any

export const IMAGES = ['sample-amd64', 'alpine', 'bookworm-minbase', 'python-owned'] as const
export type RecordedImage = (typeof IMAGES)[number]

async function document(name: string): Promise<Raw> {
  const load = FILES[`../../fixtures/engine-outputs/${name}.json.gz`]
  if (!load) throw new Error(`no recorded output ${name}`)
  const packed = await (await fetch((await load()) as string)).blob()
  return new Response(packed.stream().pipeThrough(new DecompressionStream('gzip'))).json()
}

/** What trivy, grype and syft printed about an image. */
export async function recordedReports(image: RecordedImage): Promise<{ trivy: Raw; grype: Raw; syft: Raw }> {
  const [trivy, grype, syft] = await Promise.all(
    ['trivy', 'grype', 'syft'].map((engine) => document(`${image}.${engine}`)),
  )
  return { trivy, grype, syft }
}
