import { type CryptoKey, compactDecrypt } from 'jose'
import { z } from 'zod'
import { SealedCredentials } from '../../src/scanning/sensors/protocol.ts'

/** Who and what a sealed credential must be for. `host` is the registry host of the job's image reference. */
export interface SealExpectation {
  job: string
  fence: number
  runner: string
  host: string
}

/** The sealed credentials cannot be used for this job. The message names the member, never a value. */
export class CredentialsRefused extends Error {
  override name = 'CredentialsRefused'
}

const Header = z.object({
  job: z.string(),
  fence: z.int(),
  runner: z.string(),
  host: z.string(),
  exp: z.number(),
})

/**
 * Opens a compact JWE (ECDH-ES, A256GCM) and returns the registry credentials in it. Refuses one that is sealed
 * for another key, job, fence, runner or host, or whose `exp` (seconds since 1970) has passed.
 */
export async function openCredentials(
  jwe: string,
  privateKey: CryptoKey,
  expected: SealExpectation,
  nowMs: number,
): Promise<SealedCredentials> {
  const opened = await compactDecrypt(jwe, privateKey, {
    keyManagementAlgorithms: ['ECDH-ES'],
    contentEncryptionAlgorithms: ['A256GCM'],
  }).catch(() => {
    throw new CredentialsRefused('they are not sealed for this runner')
  })
  const header = Header.safeParse(opened.protectedHeader)
  if (!header.success) throw new CredentialsRefused('their header is incomplete')
  for (const member of ['job', 'fence', 'runner', 'host'] as const)
    if (header.data[member] !== expected[member])
      throw new CredentialsRefused(`they are sealed for another ${member}`)
  if (header.data.exp * 1000 <= nowMs) throw new CredentialsRefused('they have expired')
  return parsePlaintext(opened.plaintext)
}

function parsePlaintext(plaintext: Uint8Array): SealedCredentials {
  try {
    return SealedCredentials.parse(JSON.parse(new TextDecoder().decode(plaintext)))
  } catch {
    throw new CredentialsRefused('their content is not a user name and a password')
  }
}
