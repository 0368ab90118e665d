import type { Context } from '../../context.ts'
import { registryAddress } from './address.ts'
import { connect } from './connection.ts'
import { registryReason } from './errors.ts'
import type { TestConnection } from './schemas.ts'

/**
 * Whether a registry answers at the given address and takes the given credentials. Stored credentials are never
 * used. What the registry refuses is a result; VALIDATION_ERROR is for what it was never asked.
 */
export async function testConnection(ctx: Context, input: TestConnection) {
  const { provider, address } = registryAddress(ctx.env, { ...input, url: input.url, scanMethod: 'cloud' })
  const { insecure, credentials = null } = input
  const probed = await connect(ctx.env, provider, { baseUrl: address.baseUrl, insecure, credentials }).probe()
  if (probed.ok) return { ok: true, authentication: probed.value.scheme, reason: null }
  return { ok: false, authentication: null, reason: registryReason(probed.error) }
}
