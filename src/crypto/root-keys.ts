import { z } from 'zod'
import { decodeBase64 } from './bytes.ts'
import { importSecretKey, KEY_BYTES, type SecretKey } from './envelope.ts'

/**
 * The secret `ROOT_KEYS` is missing or unusable. Routes that need a secret answer 503 with it; the message names
 * what is wrong with the setting and never its value.
 */
export class SecretsUnavailable extends Error {
  override readonly name = 'SecretsUnavailable'
}

/** Keys that open; `active` is the one that wraps. */
export interface RootKeyRing {
  active: SecretKey
  keys: ReadonlyMap<string, SecretKey>
}

const MAX_ROOT_KEYS = 32 // a rotation a month, kept 30 days, needs three

const RootKeys = z.strictObject({
  active: z.string(),
  keys: z.record(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/), z.string()),
})

/** Reads `{"active": id, "keys": {id: 32 bytes in base64 or base64url}}`. Throws SecretsUnavailable. */
export async function parseRootKeys(text: string | undefined): Promise<RootKeyRing> {
  if (text === undefined || text.trim() === '') throw new SecretsUnavailable('ROOT_KEYS is not set.')
  const parsed = RootKeys.safeParse(fromJson(text))
  if (!parsed.success) {
    throw new SecretsUnavailable('ROOT_KEYS must be JSON: {"active": id, "keys": {id: base64 of 32 bytes}}.')
  }
  const entries = Object.entries(parsed.data.keys)
  if (entries.length > MAX_ROOT_KEYS) throw new SecretsUnavailable('ROOT_KEYS holds more than 32 keys.')
  const keys = new Map<string, SecretKey>()
  for (const [id, encoded] of entries) {
    const bytes = decodeBase64(encoded)
    if (bytes?.length !== KEY_BYTES) {
      throw new SecretsUnavailable(`The root key "${id}" in ROOT_KEYS is not the base64 of 32 bytes.`)
    }
    keys.set(id, await importSecretKey(id, bytes))
  }
  const active = keys.get(parsed.data.active)
  if (active === undefined) throw new SecretsUnavailable('The active key of ROOT_KEYS is not among its keys.')
  return { active, keys }
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
