import { normalizePlatform } from '../../inventory/registries/index.ts'

/** The manifest that a result is about, as far as anybody knows. */
export interface FoundImage {
  digest: string | null
  indexDigest: string | null
  platform: string | null
}

const DIGEST = /^(?:[^@]*@)?(sha256:[0-9a-f]{64})$/

/** `sha256:…` of "repo@sha256:…" or of the digest alone; null where it is neither. */
export const bareDigest = (text: string | null | undefined): string | null =>
  DIGEST.exec(text?.trim() ?? '')?.[1] ?? null

/** "linux/amd64", also of the sensor's "debian/amd64", which has the distribution before the architecture. */
export function platformOf(text: string | null | undefined): string | null {
  const [os = '', ...rest] = (text ?? '').trim().toLowerCase().split('/')
  if (rest.length === 0) return null
  return normalizePlatform([os.startsWith('windows') ? 'windows' : 'linux', ...rest].join('/'))
}
