import { decodeBase64Url, encodeBase64Url, utf8 } from './bytes.ts'

/** An AES-256-GCM key that cannot be exported, and the id that ciphertexts name it by. */
export interface SecretKey {
  id: string
  key: CryptoKey
}

/** Where a ciphertext lives. It opens there and nowhere else. */
export interface SecretLocation {
  organizationId: string
  table: string
  row: string
  column: string
}

export type Opened<T> =
  | { ok: true; value: T }
  | { ok: false; error: 'malformed' | 'unknown_key' | 'not_authentic' }

/** The keys a ciphertext may name: one, or a ring of them. */
export type KeySource = SecretKey | ReadonlyMap<string, SecretKey>

export const KEY_BYTES = 32 // AES-256
const IV_BYTES = 12 // what GCM is specified for
const TAG_BYTES = 16
const FORMAT = 'v1' // AES-256-GCM, JSON array as additional data
const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/

export async function importSecretKey(id: string, bytes: Uint8Array<ArrayBuffer>): Promise<SecretKey> {
  if (!KEY_ID.test(id)) throw new TypeError('A key id has 1 to 64 letters, digits, _ or -.')
  const key = await crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt'])
  return { id, key }
}

/** A new random key called `id`, ready for use, and its ciphertext under `wrapping` for storage at `location`. */
export async function createWrappedKey(
  wrapping: SecretKey,
  id: string,
  location: SecretLocation,
): Promise<{ key: SecretKey; wrapped: string }> {
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES))
  const wrapped = await wrapKey(wrapping, id, bytes, location)
  return { key: await importSecretKey(id, bytes), wrapped }
}

/** `v1.<wrapping key>.<iv>.<ciphertext>` of a key's bytes; the wrapped key's own id is bound to it. */
export const wrapKey = (
  wrapping: SecretKey,
  id: string,
  bytes: Uint8Array<ArrayBuffer>,
  location: SecretLocation,
): Promise<string> => encrypt(wrapping, bytes, additionalData('wrap', location, wrapping.id, id))

/** The key `id` as it was wrapped for this place. */
export async function unwrapKey(
  wrapping: KeySource,
  id: string,
  wrapped: string,
  location: SecretLocation,
): Promise<Opened<SecretKey>> {
  const bytes = await unwrapBytes(wrapping, id, wrapped, location)
  return bytes.ok ? { ok: true, value: await importSecretKey(id, bytes.value) } : bytes
}

/** The same key under another wrapping key: what each slice of a rotation does. */
export async function rewrapKey(
  from: KeySource,
  to: SecretKey,
  id: string,
  wrapped: string,
  location: SecretLocation,
): Promise<Opened<string>> {
  const bytes = await unwrapBytes(from, id, wrapped, location)
  return bytes.ok ? { ok: true, value: await wrapKey(to, id, bytes.value, location) } : bytes
}

/** `v1.<key>.<iv>.<ciphertext>` of a text. */
export const seal = (key: SecretKey, text: string, location: SecretLocation): Promise<string> =>
  encrypt(key, utf8(text), additionalData('seal', location, key.id, ''))

/** The text that was sealed for this place. */
export async function open(
  keys: KeySource,
  ciphertext: string,
  location: SecretLocation,
): Promise<Opened<string>> {
  const bytes = await decrypt(keys, ciphertext, (keyId) => additionalData('seal', location, keyId, ''))
  return bytes.ok ? { ok: true, value: new TextDecoder().decode(bytes.value) } : bytes
}

/** The id of the key that a ciphertext needs; null when it is none of ours. */
export const ciphertextKeyId = (ciphertext: string): string | null => split(ciphertext)?.keyId ?? null

async function unwrapBytes(
  wrapping: KeySource,
  id: string,
  wrapped: string,
  location: SecretLocation,
): Promise<Opened<Uint8Array<ArrayBuffer>>> {
  const bytes = await decrypt(wrapping, wrapped, (keyId) => additionalData('wrap', location, keyId, id))
  if (bytes.ok && bytes.value.length !== KEY_BYTES) return { ok: false, error: 'malformed' }
  return bytes
}

/** A JSON array, so that no two places share one spelling. */
function additionalData(
  purpose: 'wrap' | 'seal',
  { organizationId, table, row, column }: SecretLocation,
  keyId: string,
  wrappedId: string,
): Uint8Array<ArrayBuffer> {
  return utf8(
    JSON.stringify(['harborguard', FORMAT, purpose, organizationId, table, row, column, keyId, wrappedId]),
  )
}

async function encrypt(
  { id, key }: SecretKey,
  plain: Uint8Array<ArrayBuffer>,
  data: Uint8Array<ArrayBuffer>,
): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES))
  const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData: data }, key, plain)
  return [FORMAT, id, encodeBase64Url(iv), encodeBase64Url(new Uint8Array(sealed))].join('.')
}

async function decrypt(
  keys: KeySource,
  text: string,
  dataFor: (keyId: string) => Uint8Array<ArrayBuffer>,
): Promise<Opened<Uint8Array<ArrayBuffer>>> {
  const parts = split(text)
  if (parts === null) return { ok: false, error: 'malformed' }
  const key = 'key' in keys ? (keys.id === parts.keyId ? keys : undefined) : keys.get(parts.keyId)
  if (key === undefined) return { ok: false, error: 'unknown_key' }
  const additional = dataFor(parts.keyId)
  try {
    const plain = await crypto.subtle.decrypt(
      { name: 'AES-GCM', iv: parts.iv, additionalData: additional },
      key.key,
      parts.sealed,
    )
    return { ok: true, value: new Uint8Array(plain) }
  } catch {
    return { ok: false, error: 'not_authentic' }
  }
}

function split(text: string) {
  const [format, keyId, iv, sealed, surplus] = text.split('.')
  if (format !== FORMAT || keyId === undefined || !KEY_ID.test(keyId) || surplus !== undefined) return null
  const ivBytes = decodeBase64Url(iv ?? '')
  const sealedBytes = decodeBase64Url(sealed ?? '')
  if (ivBytes?.length !== IV_BYTES || sealedBytes === null || sealedBytes.length < TAG_BYTES) return null
  return { keyId, iv: ivBytes, sealed: sealedBytes }
}
