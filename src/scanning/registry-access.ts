import type { Context } from '../context.ts'
import {
  isTransient,
  openRegistry,
  type ResolvedImage,
  registryReason,
  retryAfterSeconds,
  type StoredConnection,
  storedCredentials,
} from '../inventory/registries/index.ts'
import type { ScanReason } from './reasons.ts'

/** A registry as scanning needs it: what reaching it takes, and the host that image names begin with. */
export interface RegistryPlace extends StoredConnection {
  host: string
}

/** The columns of RegistryPlace, of a registry called `r`. */
export const REGISTRY_PLACE_SQL =
  'r.id, r.provider, r.url, r.host, r.insecure, r.credentials, r.dek, r.kek_version AS kekVersion'

type Resolution =
  | { kind: 'resolved'; image: ResolvedImage }
  | { kind: 'failed'; reason: ScanReason }
  /** The same call may succeed later; `seconds` is what the registry asked to wait. */
  | { kind: 'unavailable'; reason: ScanReason; seconds: number | null }

/** How scanning reaches registries. Tests give their own. */
export interface RegistryAccess {
  /**
   * The manifest behind a tag or digest, for one platform. Bounded in time; errors are data. Throws
   * SecretsUnavailable without root keys.
   */
  resolveImage(
    ctx: Context,
    registry: RegistryPlace,
    repository: string,
    reference: string,
    platform: string | null,
  ): Promise<Resolution>
  /**
   * What a runner pulls with; null for anonymous access, `unreadable` when the stored secret does not open.
   * Throws SecretsUnavailable without root keys.
   */
  pullCredentials: typeof storedCredentials
}

/** Registries as they are stored. */
export const storedRegistries: RegistryAccess = {
  async resolveImage(ctx, registry, repository, reference, platform) {
    const opened = await openRegistry(ctx, registry)
    if (!opened.ok) return { kind: 'failed', reason: opened.reason }
    const outcome = await opened.client.resolveImage(repository, reference, platform)
    if (outcome.ok) return { kind: 'resolved', image: outcome.value }
    const why = registryReason(outcome.error)
    if (!isTransient(outcome.error)) return { kind: 'failed', reason: why }
    return { kind: 'unavailable', reason: why, seconds: retryAfterSeconds(outcome.error) }
  },
  pullCredentials: storedCredentials,
}
