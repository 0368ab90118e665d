import { openSecret } from '../crypto/organization-secrets.ts'
import { allowsPrivateNetworks } from '../env.ts'
import { RegistryCredentials } from '../inventory/registries/credentials.ts'
import { fail } from '../inventory/registries/errors.ts'
import type { ProviderName } from '../inventory/registries/provider-names.ts'
import { registryProvider } from '../inventory/registries/providers/index.ts'
import { parseRegistryUrl } from '../inventory/registries/registry-url.ts'
import { bindSafeFetch } from '../net/safe-fetch.ts'
import type { RegistryAccess } from './registry-access.ts'

const DEADLINE = 60_000 // ms for a whole resolution: token, index, manifest and configuration

/** Registries as they are stored: the provider's client over the guarded fetch, credentials under the envelope. */
export const storedRegistryAccess: RegistryAccess = {
  async resolveImage(ctx, registry, repository, reference, platform) {
    const credentials = await storedRegistryAccess.pullCredentials(ctx, registry)
    if (credentials === 'unreadable') return credentials
    const allowPrivateNetworks = allowsPrivateNetworks(ctx.env)
    const insecure = registry.insecure === 1
    const address = parseRegistryUrl(registry.url, { insecure, scanMethod: 'cloud', allowPrivateNetworks })
    if (!address.ok) return fail({ kind: 'address_refused', message: address.message })
    const choice = registryProvider(registry.provider as ProviderName)
    if (!choice.ok) return fail({ kind: 'address_refused', message: choice.message })
    const timeoutMs = Number(ctx.env.REGISTRY_TIMEOUT_MS)
    const client = choice.provider.open({
      fetch: bindSafeFetch({ allowPrivateNetworks }),
      baseUrl: address.baseUrl,
      insecure,
      credentials,
      signal: AbortSignal.timeout(DEADLINE),
      ...(timeoutMs > 0 && { timeoutMs }),
    })
    return client.resolveImage(repository, reference, platform)
  },

  async pullCredentials(ctx, registry) {
    const { credentials: ciphertext, dek, kek_version: kekVersion } = registry
    if (ciphertext === null) return null
    if (dek === null || kekVersion === null) return 'unreadable'
    const text = await openSecret(
      ctx,
      ctx.organization,
      { table: 'registries', row: registry.id, column: 'credentials' },
      { wrappedKey: dek, ciphertext, kekVersion },
    )
    const opened = text === null ? null : RegistryCredentials.safeParse(JSON.parse(text))
    return opened?.success ? opened.data : 'unreadable'
  },
}
