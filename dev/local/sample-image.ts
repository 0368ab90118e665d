import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeSampleImage } from '../sample/image/sample-image.ts'
import type { WrittenImage } from '../sample/image/written-image.ts'
import { type SampleRegistry, serveLayouts } from '../sample/registry.ts'
import { fingerprint } from './fingerprint.ts'
import { freePort } from './ports.ts'
import type { LocalState } from './state.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const PREFERRED_PORT = 5600
const REPOSITORY = 'harborguard/sample'

/** Serves the sample image on loopback, on the port of the last start when it is free. */
export async function serveSampleImage(
  state: LocalState,
): Promise<{ registry: SampleRegistry; image: string }> {
  const layoutDir = join(state.dir, 'sample-image')
  const written = ensureSampleImage(layoutDir)
  const port = await freePort(Number(state.read('sample-port') ?? PREFERRED_PORT))
  state.write('sample-port', String(port))
  const registry = await serveLayouts({
    repositories: { [REPOSITORY]: { layoutDir, tags: { [written.tag]: written.digest } } },
    port,
  })
  return { registry, image: `${registry.host}/${REPOSITORY}:${written.tag}` }
}

/** The sample image at `layoutDir`, written when it is not there yet or what writes it changed. */
export function ensureSampleImage(layoutDir: string): WrittenImage {
  const current = fingerprint(root, ['dev/sample/image'])
  const file = join(layoutDir, 'written.json')
  const last = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Remembered) : null
  if (last?.fingerprint === current) return { ...last.image, layoutDir }
  const image = writeSampleImage(layoutDir)
  writeFileSync(file, JSON.stringify({ fingerprint: current, image } satisfies Remembered))
  return image
}

interface Remembered {
  fingerprint: string
  image: WrittenImage
}
