export { type ConvertedResult, convertEnvelope } from './convert.ts'
export type { ForeignLists } from './envelope.ts'
export type { FoundImage } from './found-image.ts'
export { convertLegacy } from './legacy.ts'
