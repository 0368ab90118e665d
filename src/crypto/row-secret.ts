import {
  createWrappedKey,
  type Opened,
  open,
  rewrapKey,
  type SecretKey,
  type SecretLocation,
  seal,
  unwrapKey,
} from './envelope.ts'

/** A secret of one row: its own random key under the organization's key, and the secret under that key. */
export interface RowSecret {
  wrappedKey: string
  ciphertext: string
}

const DATA_KEY_ID = 'dek-1' // a changed secret gets a new random key, so one version is enough

/** The data key is bound to the same cell, told apart by its column. */
const keyLocation = (at: SecretLocation): SecretLocation => ({ ...at, column: `${at.column}/key` })

/** Encrypts a secret for one cell under a data key made for it. */
export async function sealRowSecret(
  organizationKey: SecretKey,
  text: string,
  at: SecretLocation,
): Promise<RowSecret> {
  const { key, wrapped } = await createWrappedKey(organizationKey, DATA_KEY_ID, keyLocation(at))
  return { wrappedKey: wrapped, ciphertext: await seal(key, text, at) }
}

/** The secret of this cell; `unknown_key` when it was written under another version of the organization's key. */
export async function openRowSecret(
  organizationKey: SecretKey | ReadonlyMap<string, SecretKey>,
  stored: RowSecret,
  at: SecretLocation,
): Promise<Opened<string>> {
  const key = await unwrapKey(organizationKey, DATA_KEY_ID, stored.wrappedKey, keyLocation(at))
  return key.ok ? open(key.value, stored.ciphertext, at) : key
}

/** The data key under a newer organization key; the ciphertext stays as it is. */
export const rewrapRowSecret = (
  from: SecretKey | ReadonlyMap<string, SecretKey>,
  to: SecretKey,
  wrappedKey: string,
  at: SecretLocation,
): Promise<Opened<string>> => rewrapKey(from, to, DATA_KEY_ID, wrappedKey, keyLocation(at))
