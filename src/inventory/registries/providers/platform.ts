/** Platforms as `os/architecture[/variant]`, in containerd's normal form. */
export interface Platform {
  os: string
  architecture: string
  variant?: string | undefined
}

export const DEFAULT_PLATFORM = 'linux/amd64'

const ARCHITECTURES: Record<string, string> = {
  x86_64: 'amd64',
  'x86-64': 'amd64',
  aarch64: 'arm64',
  armhf: 'arm/v7',
  armel: 'arm/v6',
  i386: '386',
}
const IMPLIED_VARIANTS: Record<string, string> = { arm64: 'v8', amd64: 'v1' }

/** `linux/arm64/v8` is `linux/arm64`, `linux/arm` is `linux/arm/v7`; null for what is not a platform. */
export function normalizePlatform(text: string): string | null {
  const match = /^([a-z0-9]{1,32})\/([a-z0-9_-]{1,32})(?:\/([a-z0-9.]{1,32}))?$/.exec(text.toLowerCase())
  if (match === null) return null
  const [os, written, variant] = match.slice(1) as [string, string, string | undefined]
  const [architecture, impliedByName] = (ARCHITECTURES[written] ?? written).split('/') as [string, string?]
  const known = variant ?? impliedByName ?? (architecture === 'arm' ? 'v7' : undefined)
  const shown = known === undefined || IMPLIED_VARIANTS[architecture] === known ? '' : `/${known}`
  return `${os}/${architecture}${shown}`
}

/** Null where the platform is not said, or said to be unknown as attestations do. */
export function platformText({ os, architecture, variant }: Platform): string | null {
  if (os === 'unknown' || architecture === 'unknown') return null
  return normalizePlatform(variant ? `${os}/${architecture}/${variant}` : `${os}/${architecture}`)
}

/** The platform asked for, or without a wish linux/amd64, else the only one there is; null when none fits. */
export function choosePlatform(available: readonly string[], wanted: string | null): string | null {
  if (wanted !== null) {
    const normal = normalizePlatform(wanted)
    return normal !== null && available.includes(normal) ? normal : null
  }
  if (available.includes(DEFAULT_PLATFORM)) return DEFAULT_PLATFORM
  const distinct = [...new Set(available)]
  return distinct.length === 1 ? distinct[0]! : null
}
