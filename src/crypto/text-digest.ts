import { createHash } from 'node:crypto'
import { encodeBase64Url } from './bytes.ts'

/**
 * A short name of a text: 128 bits of its SHA-256 in base64url, 22 characters. For comparing, not for secrets. Not
 * through WebCrypto: an ingest asks for thousands, and a promise for each takes longer than the digest.
 */
export const textDigest = (text: string): string =>
  encodeBase64Url(createHash('sha256').update(text).digest().subarray(0, 16))
