import type { Descriptor } from './manifest.ts'

export const DEFAULT_PLATFORM = 'linux/amd64'

export interface Platform {
  os: string
  architecture: string
  variant?: string | null | undefined
}

// Variants that say nothing: an image for arm64 is one for arm64/v8.
const IMPLIED: Record<string, string> = { arm64: 'v8', arm: 'v7', amd64: 'v1' }

const isAttestation = ({ annotations, platform }: Descriptor): boolean =>
  annotations?.['vnd.docker.reference.type'] !== undefined ||
  (platform?.os === 'unknown' && platform.architecture === 'unknown')

/**
 * The one manifest of an index that fits the platform asked for; without one, and only when the default platform
 * was asked for, the only image there is. Attestation manifests are never chosen. Null when none fits.
 */
export function selectPlatform(manifests: readonly Descriptor[], wanted: string): Descriptor | null {
  const images = manifests.filter((entry) => !isAttestation(entry))
  const fitting = images.filter(({ platform }) => platform && fits(platform, wanted))
  const exact = fitting.find(({ platform }) => platform && platformName(platform) === wanted)
  if (exact ?? fitting[0]) return exact ?? fitting[0] ?? null
  return wanted === DEFAULT_PLATFORM && images.length === 1 ? (images[0] ?? null) : null
}

/** Whether an image of this platform is what was asked for. A variant that was not asked for does not matter. */
export function fits(platform: Platform, wanted: string): boolean {
  const [os, architecture, variant] = wanted.split('/')
  if (platform.os !== os || platform.architecture !== architecture) return false
  const has = platform.variant || IMPLIED[platform.architecture]
  return variant === undefined || has === variant
}

export const platformName = ({ os, architecture, variant }: Platform): string =>
  variant ? `${os}/${architecture}/${variant}` : `${os}/${architecture}`
