import type { BaseContext, Context } from '../context.ts'
import type { UsernamePassword } from '../inventory/registries/credentials.ts'
import type { RegistryOutcome } from '../inventory/registries/errors.ts'
import type { ResolvedImage } from '../inventory/registries/providers/provider.ts'

/** A registry as its row describes it: what reaching it takes. Credentials are ciphertext. */
export interface RegistryPlace {
  id: string
  provider: string
  url: string
  host: string
  insecure: number
  credentials: string | null
  dek: string | null
  kek_version: number | null
}

/** The columns of RegistryPlace, of a registry called `r`. */
export const REGISTRY_PLACE_SQL =
  'r.id, r.provider, r.url, r.host, r.insecure, r.credentials, r.dek, r.kek_version'

type InOrganization = BaseContext & Pick<Context, 'organization'>

/** How scanning reaches registries. Tests give their own. */
export interface RegistryAccess {
  /**
   * The manifest behind a tag or digest, for one platform; `unreadable` when the stored secret does not open.
   * Bounded in time; errors are data. Throws SecretsUnavailable without root keys.
   */
  resolveImage(
    ctx: Context,
    registry: RegistryPlace,
    repository: string,
    reference: string,
    platform: string | null,
  ): Promise<RegistryOutcome<ResolvedImage> | 'unreadable'>
  /**
   * What a runner pulls with; null for anonymous access, `unreadable` when the stored secret does not open.
   * Throws SecretsUnavailable without root keys.
   */
  pullCredentials(
    ctx: InOrganization,
    registry: RegistryPlace,
  ): Promise<UsernamePassword | null | 'unreadable'>
}
