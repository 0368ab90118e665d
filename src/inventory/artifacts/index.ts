export {
  ARTIFACT_SQL,
  artifactKey,
  IMAGE_SQL,
  type ResolvedReference,
  recordImage,
  recordReference,
  TAG_SQL,
} from './record.ts'
export { showArtifact, showImage, showRepository } from './show.ts'
export { shownDigest, UNKNOWN_PLATFORM } from './unknown-digest.ts'
