export type { UnlistedPackages } from './adopt-packages.ts'
export type { FoundImage } from './found-image.ts'
export { MAX_LEGACY_BYTES } from './limits.ts'
export { openForeign } from './open-foreign.ts'
