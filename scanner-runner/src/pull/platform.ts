import type { Descriptor } from './manifest.ts'

export const DEFAULT_PLATFORM = 'linux/amd64'

interface Platform {
  os: string
  architecture: string
  variant?: string | null | undefined
}

const IMPLIED_VARIANTS: Record<string, string> = { arm64: 'v8', amd64: 'v1' }

/** containerd's normal form, as the server has it: `linux/arm64` for arm64/v8, `linux/arm/v7` for arm. */
function platformName({ os, architecture, variant }: Platform): string {
  const known = variant || (architecture === 'arm' ? 'v7' : undefined)
  const shown = known === undefined || IMPLIED_VARIANTS[architecture] === known ? '' : `/${known}`
  return `${os}/${architecture}${shown}`
}

/** The platform of an image by its configuration. Builders leave variants out there: it is then the one asked for. */
export function platformOfImage(config: Platform, wanted: string): string {
  const asked = parsePlatform(wanted)
  const same = config.os === asked.os && config.architecture === asked.architecture
  return platformName(same && !config.variant ? asked : config)
}

export const isPlatform = (name: string, wanted: string): boolean =>
  name === platformName(parsePlatform(wanted))

function parsePlatform(text: string): Platform {
  const [os = '', architecture = '', variant] = text.split('/')
  return { os, architecture, variant }
}

const isAttestation = ({ annotations, platform }: Descriptor): boolean =>
  annotations?.['vnd.docker.reference.type'] !== undefined ||
  (platform?.os === 'unknown' && platform.architecture === 'unknown')

/**
 * The one manifest of an index that fits the platform asked for; without one, and only when the default platform
 * was asked for, the only image there is. Attestation manifests are never chosen. Null when none fits.
 */
export function selectPlatform(manifests: readonly Descriptor[], wanted: string): Descriptor | null {
  const images = manifests.filter((entry) => !isAttestation(entry))
  const fitting = images.find(({ platform }) => platform && isPlatform(platformName(platform), wanted))
  if (fitting) return fitting
  return wanted === DEFAULT_PLATFORM && images.length === 1 ? (images[0] ?? null) : null
}
