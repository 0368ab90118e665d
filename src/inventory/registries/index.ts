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
export { normalizePlatform } from './providers/platform.ts'
export type { RegistryClient, ResolvedImage } from './providers/provider.ts'
export { registryRoutes } from './routes.ts'
export { queueSync } from './start-sync.ts'
