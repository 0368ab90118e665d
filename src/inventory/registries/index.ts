export {
  connect,
  type OpenedRegistry,
  openRegistry,
  type StoredConnection,
  storedCredentials,
} from './connection.ts'
export type { RegistryCredentials, UsernamePassword } from './credentials.ts'
export {
  isTransient,
  type RegistryError,
  type RegistryOutcome,
  registryReason,
  retryAfterSeconds,
} from './errors.ts'
export { nextRun } from './next-run.ts'
export { DEFAULT_PLATFORM, normalizePlatform } from './providers/platform.ts'
export type { RegistryClient, ResolvedImage } from './providers/provider.ts'
export { type Remains, removeRegistry, type ScanPlace } from './remove.ts'
export { registryRoutes } from './routes.ts'
export { queueSync } from './start-sync.ts'
export { endStuckSyncs, resumeDeletions, startDueSyncs } from './sweeps.ts'
export { giveUpSync, syncRegistry } from './sync/sync-registry.ts'
export { tagPasses } from './tag-glob.ts'
