import { CompactEncrypt, importJWK } from 'jose'
import type { PublicJwk, SealedCredentials } from '../scanning/sensors/protocol.ts'
import { utf8 } from './bytes.ts'

/** What the sealed credentials are for. The runner refuses them for anything else. */
export interface SealingContext {
  job: string
  fence: number
  runner: string
  /** `host[:port]` of the registry. */
  host: string
  /** Seconds since 1970. */
  exp: number
}

/** True for a point on P-256 that credentials can be sealed to; asked once, when a runner registers. */
export async function isUsablePublicKey(publicKey: PublicJwk): Promise<boolean> {
  try {
    await publicKeyOf(publicKey)
    return true
  } catch {
    return false
  }
}

/**
 * Compact JWE (ECDH-ES, A256GCM) that only the runner's private key opens. The context is in the protected header:
 * readable on the way, and any change makes the JWE unreadable. Throws when the key is not on the curve.
 */
export async function sealCredentials(
  publicKey: PublicJwk,
  { username, password }: SealedCredentials,
  { job, fence, runner, host, exp }: SealingContext,
): Promise<string> {
  const plain = utf8(JSON.stringify({ username, password }))
  return new CompactEncrypt(plain)
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', job, fence, runner, host, exp })
    .encrypt(await publicKeyOf(publicKey))
}

/** Only the four public members travel on: a private part sent by mistake is never used. */
const publicKeyOf = ({ kty, crv, x, y }: PublicJwk) => importJWK({ kty, crv, x, y }, 'ECDH-ES')
