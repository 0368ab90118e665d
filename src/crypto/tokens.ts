import { utf8 } from './bytes.ts'

const SECRET_BYTES = 24 // 192 random bits, 48 hexadecimal digits

/** `hg_ak_` and 48 hexadecimal digits. Only its SHA-256 is stored; it has enough entropy to need no salt. */
export const newApiKey = (): string => `hg_ak_${randomHex(SECRET_BYTES)}`

/** `hg_rk_` and 48 hexadecimal digits: the key of a cloud runner. */
export const newRunnerKey = (): string => `hg_rk_${randomHex(SECRET_BYTES)}`

/** SHA-256 of the text's UTF-8 bytes, 64 hexadecimal digits in lower case. */
export const sha256Hex = (text: string): Promise<string> => sha256HexOfBytes(utf8(text))

export async function sha256HexOfBytes(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)))
}

/** Takes as long for a near miss as for a complete one; the time depends on the length of `given` alone. */
export function constantTimeEqual(given: string, expected: string): boolean {
  const left = utf8(given)
  const right = utf8(expected)
  let difference = left.length ^ right.length
  for (let i = 0; i < left.length; i++) {
    difference |= left[i]! ^ (right[right.length === 0 ? 0 : i % right.length] ?? 0)
  }
  return difference === 0
}

const randomHex = (bytes: number): string => hex(crypto.getRandomValues(new Uint8Array(bytes)))

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
