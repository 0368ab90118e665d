import { constantTimeEqual } from '../crypto/tokens.ts'
import type { Env } from '../env.ts'

const MIN_TOKEN_LENGTH = 32

/** True when the request carries OPERATOR_TOKEN as Bearer. Always false where the secret is absent or too short. */
export async function isOperator(env: Env, headers: Headers): Promise<boolean> {
  const expected = env.OPERATOR_TOKEN
  if (!expected || expected.length < MIN_TOKEN_LENGTH) return false
  const given = /^Bearer +(\S+) *$/i.exec(headers.get('Authorization') ?? '')?.[1]
  return given !== undefined && constantTimeEqual(given, expected)
}
