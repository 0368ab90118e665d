import type { BaseContext, Context } from '../../context.ts'
import {
  openSecret,
  type SecretCell,
  type StoredSecret,
  sealSecret,
} from '../../crypto/organization-secrets.ts'
import { allowsPrivateNetworks, type Env } from '../../env.ts'
import { bindSafeFetch } from '../../net/safe-fetch.ts'
import { type ReasonCode, reason, type ScanReason } from '../../scanning/reasons.ts'
import { type RegistryCredentials, UsernamePassword } from './credentials.ts'
import type { ProviderName } from './provider-names.ts'
import { registryProvider } from './providers/index.ts'
import type { RegistryClient, RegistryProvider } from './providers/provider.ts'

/** What reaching a registry takes, as its row has it. Credentials are ciphertext. */
export interface StoredConnection {
  id: string
  provider: string
  url: string
  insecure: boolean | number
  credentials: string | null
  dek: string | null
  kekVersion: number | null
}

export type InOrganization = BaseContext & Pick<Context, 'organization'>

const cell = (registryId: string): SecretCell => ({
  table: 'registries',
  row: registryId,
  column: 'credentials',
})

/** The three columns that hold a registry's credentials; all null for anonymous access. Throws SecretsUnavailable. */
export async function sealedCredentials(
  ctx: InOrganization,
  registryId: string,
  credentials: RegistryCredentials | null,
): Promise<Pick<StoredConnection, 'credentials' | 'dek' | 'kekVersion'>> {
  if (credentials === null) return { credentials: null, dek: null, kekVersion: null }
  const sealed = await sealSecret(ctx, ctx.organization, cell(registryId), JSON.stringify(credentials))
  return { credentials: sealed.ciphertext, dek: sealed.wrappedKey, kekVersion: sealed.kekVersion }
}

/**
 * The stored credentials, null for anonymous access, or `unreadable` when the secret does not open in its cell.
 * Throws SecretsUnavailable without root keys.
 */
export async function storedCredentials(
  ctx: InOrganization,
  stored: StoredConnection,
): Promise<RegistryCredentials | null | 'unreadable'> {
  const { credentials: ciphertext, dek: wrappedKey, kekVersion } = stored
  if (ciphertext === null) return null
  if (wrappedKey === null || kekVersion === null) return 'unreadable'
  const secret: StoredSecret = { ciphertext, wrappedKey, kekVersion }
  const text = await openSecret(ctx, ctx.organization, cell(stored.id), secret)
  const parsed = text === null ? null : UsernamePassword.safeParse(JSON.parse(text))
  return parsed?.success ? parsed.data : 'unreadable'
}

export type OpenedRegistry = { ok: true; client: RegistryClient } | { ok: false; reason: ScanReason }

/** A conversation with a stored registry, with its own credentials and no others. `signal` ends all of it. */
export async function openRegistry(
  ctx: InOrganization,
  stored: StoredConnection,
  signal?: AbortSignal,
): Promise<OpenedRegistry> {
  const choice = registryProvider(stored.provider as ProviderName)
  if (!choice.ok) return refused('registry_error', choice.message)
  const credentials = await storedCredentials(ctx, stored)
  if (credentials === 'unreadable') return refused('credentials_unavailable')
  const client = connect(ctx.env, choice.provider, {
    baseUrl: stored.url,
    insecure: Boolean(stored.insecure),
    credentials,
    signal,
  })
  return { ok: true, client }
}

/** A conversation with a registry; every call goes through the guarded fetch. */
export const connect = (
  env: Env,
  provider: RegistryProvider,
  to: {
    baseUrl: string
    insecure: boolean
    credentials: RegistryCredentials | null
    signal?: AbortSignal | undefined
  },
): RegistryClient =>
  provider.open({
    ...to,
    fetch: bindSafeFetch({ allowPrivateNetworks: allowsPrivateNetworks(env) }),
    timeoutMs: Number(env.REGISTRY_TIMEOUT_MS) || undefined,
  })

const refused = (code: ReasonCode, detail?: string): OpenedRegistry => ({
  ok: false,
  reason: reason(code, detail),
})
