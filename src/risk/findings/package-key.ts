import type { ResultPackage } from '../../scanning/sensors/result.ts'

/** A package version in its context, as `packages` stores it. */
export interface PackageIdentity {
  type: string
  namespace: string | null
  name: string
  version: string
  distro: string | null
  source: { name: string; version: string } | null
  module: string | null
  owner: string | null
}

export const packageIdentity = (listed: ResultPackage): PackageIdentity => ({
  type: listed.type,
  namespace: listed.namespace,
  name: listed.name,
  version: listed.version,
  distro: listed.distro,
  source: listed.source,
  module: listed.module,
  owner: listed.owner,
})

/** One text for one context: [namespace, distro, source, sourceVersion, module, owner]. Empty is absent; a package's own source is itself. */
export function contextJson(identity: PackageIdentity): string {
  const { source } = identity
  const own = source === null || (source.name === identity.name && source.version === identity.version)
  return JSON.stringify([
    identity.namespace || null,
    identity.distro || null,
    own ? null : source.name,
    own ? null : source.version,
    identity.module || null,
    identity.owner || null,
  ])
}

/** What `contextJson` wrote, with the columns beside it. */
export function identityOf(row: {
  name: string
  version: string
  type: string
  context: string
}): PackageIdentity {
  const [namespace, distro, source, sourceVersion, module, owner] = JSON.parse(row.context) as (
    | string
    | null
  )[]
  return {
    type: row.type,
    namespace: namespace ?? null,
    name: row.name,
    version: row.version,
    distro: distro ?? null,
    source: source ? { name: source, version: sourceVersion ?? '' } : null,
    module: module ?? null,
    owner: owner ?? null,
  }
}

/** Percent-encoded as the purl specification has it: the colon stays. */
const encoded = (text: string) =>
  encodeURIComponent(text)
    .replace(/%3A/g, ':')
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)

/** The package URL: `pkg:deb/debian/libssl3@3.0.11-1?distro=debian-12&upstream=openssl%403.0.11-1`. */
export function renderPurl(identity: PackageIdentity): string {
  const path = [...(identity.namespace ?? '').split('/').filter(Boolean), identity.name]
    .map(encoded)
    .join('/')
  const upstream =
    identity.source &&
    (identity.source.version && identity.source.version !== identity.version
      ? `${identity.source.name}@${identity.source.version}`
      : identity.source.name)
  const qualifiers = Object.entries({ distro: identity.distro, rpmmod: identity.module, upstream })
    .flatMap(([name, value]) => (value ? [`${name}=${encoded(value)}`] : []))
    .join('&')
  const version = identity.version ? `@${encoded(identity.version)}` : ''
  return `pkg:${identity.type}/${path}${version}${qualifiers && `?${qualifiers}`}`
}
