import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose'
import { PublicJwk } from '../../src/scanning/sensors/protocol.ts'

export interface RunnerKey {
  publicKey: PublicJwk
  privateKey: CryptoKey
}

const FILE = 'runner-key.json'

/**
 * The runner's EC P-256 key pair, made at its first start and kept in the work directory (0600). The server pins
 * the public half, so a damaged file is an error for a person to settle and is never replaced silently.
 */
export async function loadOrCreateKey(workDir: string): Promise<RunnerKey> {
  const path = join(workDir, FILE)
  const stored = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  const jwk = stored === null ? await createKey(path) : parseKey(stored, path)
  const privateKey = await importJWK(jwk, 'ECDH-ES').catch(() => null)
  if (privateKey === null || privateKey instanceof Uint8Array) throw new Error(`${path} is not a usable key`)
  return { publicKey: PublicJwk.parse(jwk), privateKey }
}

async function createKey(path: string): Promise<JWK> {
  const pair = await generateKeyPair('ECDH-ES', { crv: 'P-256', extractable: true })
  const jwk = await exportJWK(pair.privateKey)
  await writeFile(`${path}.new`, JSON.stringify(jwk), { mode: 0o600 })
  await rename(`${path}.new`, path)
  return jwk
}

function parseKey(text: string, path: string): JWK {
  try {
    const jwk = JSON.parse(text) as JWK
    PublicJwk.parse(jwk)
    if (typeof jwk.d === 'string') return jwk
  } catch {
    // the sentence below says what to do; the content is never shown
  }
  throw new Error(`${path} is damaged. Remove it to register as a new agent.`)
}
