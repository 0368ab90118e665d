import { base64url } from 'jose'

/** Base64url without padding. */
export const encodeBase64Url = (bytes: Uint8Array): string => base64url.encode(bytes)

/**
 * Bytes of a base64url text without padding, or null. Only the one spelling that `encodeBase64Url` writes is
 * accepted, so that two texts never mean the same ciphertext.
 */
export function decodeBase64Url(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return null
  const bytes = new Uint8Array(base64url.decode(text))
  return base64url.encode(bytes) === text ? bytes : null
}

/** Bytes of base64 in either alphabet, padded or not; null when it is neither. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | null {
  return decodeBase64Url(
    text
      .replace(/={1,2}$/, '')
      .replaceAll('+', '-')
      .replaceAll('/', '_'),
  )
}

/** UTF-8 bytes of a text. */
export const utf8 = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(new TextEncoder().encode(text))
