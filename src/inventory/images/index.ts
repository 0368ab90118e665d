export { chooseRegistry, type RegistryChoice, type RegistryPlace } from './choose-registry.ts'
export {
  canonicalHost,
  formatAuthority,
  type ImageReference,
  isDigest,
  isRepositoryName,
  isTagName,
  parseReference,
  type ReferenceResult,
} from './reference.ts'
export { imageRoutes } from './routes.ts'
export { FindingList } from './schemas.ts'
