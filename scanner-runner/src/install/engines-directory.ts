import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { ENGINE_MANIFEST, ENGINE_NAMES, platformKey } from './engine-manifest.ts'

/** The user's own directory for the manifest's exact versions on this platform: kept when the project's state is deleted. */
export function enginesDirectory(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const configured = env.XDG_CACHE_HOME
  const cache = configured && isAbsolute(configured) ? configured : join(homedir(), '.cache')
  const versions = ENGINE_NAMES.map((name) => `${name}-${ENGINE_MANIFEST[name].version}`)
  return join(cache, 'harborguard', 'engines', [...versions, platformKey()].join('_'))
}
