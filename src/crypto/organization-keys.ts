import {
  createWrappedKey,
  type Opened,
  rewrapKey,
  type SecretKey,
  type SecretLocation,
  unwrapKey,
} from './envelope.ts'
import type { KeyCache } from './key-cache.ts'
import type { RootKeyRing } from './root-keys.ts'

/** An organization's key as `DIRECTORY` stores it: wrapped under a root key, versioned from 1. */
export interface WrappedOrganizationKey {
  organizationId: string
  version: number
  wrapped: string
}

/** The id that ciphertexts under an organization's key carry. */
export const organizationKeyId = (version: number): string => `kek-${version}`

/** Binds the wrapped key to its organization and version. */
const location = (organizationId: string, version: number): SecretLocation => ({
  organizationId,
  table: 'organization_keys',
  row: `${organizationId}/${version}`,
  column: 'wrapped',
})

/** A new random key for the organization under the active root key. */
export async function createOrganizationKey(
  ring: RootKeyRing,
  organizationId: string,
  version = 1,
): Promise<WrappedOrganizationKey & { key: SecretKey }> {
  const place = location(organizationId, version)
  const { key, wrapped } = await createWrappedKey(ring.active, organizationKeyId(version), place)
  return { organizationId, version, wrapped, key }
}

/**
 * The organization's key, from the cache when this isolate unwrapped the same stored text within its time to live.
 * A destroyed key is therefore gone from every isolate within that time.
 */
export async function openOrganizationKey(
  ring: RootKeyRing,
  stored: WrappedOrganizationKey,
  cache: KeyCache,
  now: number,
): Promise<Opened<SecretKey>> {
  const { organizationId, version, wrapped } = stored
  const cacheKey = `${organizationId}/${version}/${wrapped}`
  const cached = cache.get(cacheKey, now)
  if (cached !== undefined) return { ok: true, value: cached }
  const place = location(organizationId, version)
  const opened = await unwrapKey(ring.keys, organizationKeyId(version), wrapped, place)
  if (opened.ok) cache.set(cacheKey, opened.value, now)
  return opened
}

/** The same organization key under the active root key. */
export const rewrapOrganizationKey = (
  ring: RootKeyRing,
  { organizationId, version, wrapped }: WrappedOrganizationKey,
): Promise<Opened<string>> =>
  rewrapKey(ring.keys, ring.active, organizationKeyId(version), wrapped, location(organizationId, version))
