export {
  openRegistry,
  type StoredConnection,
  storedCredentials,
} from './connection.ts'
export {
  isTransient,
  registryReason,
  retryAfterSeconds,
} from './errors.ts'
export { nextRun } from './next-run.ts'
export { DEFAULT_PLATFORM, normalizePlatform } from './providers/platform.ts'
export type { ResolvedImage } from './providers/provider.ts'
export { type Remains, removeRegistry } from './remove.ts'
export { registryRoutes } from './routes.ts'
export { endStuckSyncs, resumeDeletions, startDueSyncs } from './sweeps.ts'
export { giveUpSync, syncRegistry } from './sync/sync-registry.ts'
export { tagPasses } from './tag-glob.ts'
export { uploadsRegistry } from './uploads.ts'
