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

/** A context as `contextJson` wrote it, parsed. */
export type PackageContext = (string | null)[]

/** The identity of a row: its columns and the context beside them. */
export function identityOf(row: {
  name: string
  version: string
  type: string
  context: PackageContext
}): PackageIdentity {
  const [namespace, distro, source, sourceVersion, module, owner] = row.context
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

/** Percent-encoded as the purl specification has it: the colon stays. Most texts have nothing to encode. */
const encoded = (text: string) =>
  /^[\w.~:-]*$/.test(text)
    ? text
    : encodeURIComponent(text)
        .replace(/%3A/g, ':')
        .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)

/** The package URL: `pkg:deb/debian/libssl3@3.0.11-1?distro=debian-12&upstream=openssl%403.0.11-1`. */
export function renderPurl(identity: PackageIdentity): string {
  const { namespace } = identity
  const spaces = namespace ? namespace.split('/').filter(Boolean).map(encoded) : []
  const path = [...spaces, encoded(identity.name)].join('/')
  const upstream =
    identity.source &&
    (identity.source.version && identity.source.version !== identity.version
      ? `${identity.source.name}@${identity.source.version}`
      : identity.source.name)
  const qualifier = (name: string, value: string | null) => (value ? `&${name}=${encoded(value)}` : '')
  const qualifiers =
    qualifier('distro', identity.distro) +
    qualifier('rpmmod', identity.module) +
    qualifier('upstream', upstream)
  const version = identity.version ? `@${encoded(identity.version)}` : ''
  return `pkg:${identity.type}/${path}${version}${qualifiers && `?${qualifiers.slice(1)}`}`
}
