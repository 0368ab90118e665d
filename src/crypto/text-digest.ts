import { encodeBase64Url } from './bytes.ts'

/** A short name of a text: 128 bits of its SHA-256 in base64url, 22 characters. For comparing, not for secrets. */
export async function textDigest(text: string): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return encodeBase64Url(new Uint8Array(hash, 0, 16))
}
