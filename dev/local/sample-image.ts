import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeSampleImage } from '../sample/image/sample-image.ts'
import type { WrittenImage } from '../sample/image/written-image.ts'
import { type SampleRegistry, serveLayouts } from '../sample/registry.ts'
import { freePort } from './ports.ts'
import type { LocalState } from './state.ts'

const PREFERRED_PORT = 5600
const REPOSITORY = 'harborguard/sample'

/** Serves the sample image on loopback, on the port of the last start when it is free. */
export async function serveSampleImage(
  state: LocalState,
): Promise<{ registry: SampleRegistry; image: string }> {
  const layoutDir = join(state.dir, 'sample-image')
  const written = existsSync(join(layoutDir, 'written.json'))
    ? (JSON.parse(readFileSync(join(layoutDir, 'written.json'), 'utf8')) as WrittenImage)
    : write(state, layoutDir)
  const port = await freePort(Number(state.read('sample-port') ?? PREFERRED_PORT))
  state.write('sample-port', String(port))
  const registry = await serveLayouts({
    repositories: { [REPOSITORY]: { layoutDir, tags: { [written.tag]: written.digest } } },
    port,
  })
  return { registry, image: `${registry.host}/${REPOSITORY}:${written.tag}` }
}

function write(state: LocalState, layoutDir: string): WrittenImage {
  const written = writeSampleImage(layoutDir)
  state.write('sample-image/written.json', JSON.stringify(written))
  return written
}
