export {
  ARTIFACT_SQL,
  IMAGE_SQL,
  type ResolvedReference,
  recordReference,
  TAG_SQL,
} from './record.ts'
export { showArtifact, showImage, showRepository } from './show.ts'
