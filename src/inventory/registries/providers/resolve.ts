import { sha256HexOfBytes } from '../../../crypto/tokens.ts'
import type { SafeReply } from '../../../net/safe-fetch.ts'
import { isDigest } from '../../images/index.ts'
import { done, fail, type RegistryOutcome } from '../errors.ts'
import { classifyManifest, ImageConfig, MANIFEST_ACCEPT, ManifestDocument } from './manifests.ts'
import { choosePlatform, platformText } from './platform.ts'
import type { ImageVersion, ResolvedImage } from './provider.ts'
import { replyJson } from './reply.ts'
import { authorizedRequest, type Session } from './session.ts'

const MAX_MANIFEST_BYTES = 4 * 1024 * 1024 // what registries accept at a push
const MAX_CONFIG_BYTES = 8 * 1024 * 1024 // the largest configuration containerd reads

/** Digest of a tag by HEAD; by GET where the registry does not say it, computed from the bytes. */
export async function headVersion(
  session: Session,
  repository: string,
  reference: string,
): Promise<RegistryOutcome<ImageVersion>> {
  const head = await authorizedRequest(session, { ...manifestRequest(repository, reference), method: 'HEAD' })
  if (!head.ok && !headUnsupported(head.error)) return head
  const digest = head.ok ? head.value.headers.get('docker-content-digest') : null
  if (head.ok && digest !== null && isDigest(digest)) {
    if (isDigest(reference) && digest !== reference) return fail({ kind: 'corrupt' })
    return done({ digest, mediaType: mediaTypeOf(head.value) })
  }
  const got = await getManifest(session, repository, reference)
  return got.ok ? done({ digest: got.value.digest, mediaType: mediaTypeOf(got.value.reply) }) : got
}

/** The manifest to scan for a platform. Digests are computed from the bytes, never believed. */
export async function resolveImage(
  session: Session,
  repository: string,
  reference: string,
  platform: string | null,
): Promise<RegistryOutcome<ResolvedImage>> {
  const got = await getManifest(session, repository, reference)
  if (!got.ok) return got
  const { digest, document } = got.value
  const what = classifyManifest(document)
  if (what.kind === 'unsupported') return fail({ kind: 'unsupported_image', message: what.message })
  let images: { digest: string; platform: string }[]
  if (what.kind === 'index') images = what.images
  else {
    const own = await configPlatform(session, repository, what.config.digest)
    if (!own.ok) return own
    images = [{ digest, platform: own.value }]
  }
  const platforms = [...new Set(images.map((image) => image.platform))]
  const chosen = choosePlatform(platforms, platform)
  const image = images.find((candidate) => candidate.platform === chosen)
  if (image === undefined) return fail({ kind: 'platform_not_found', available: platforms })
  const indexDigest = what.kind === 'index' ? digest : null
  return done({ indexDigest, digest: image.digest, platform: image.platform, platforms })
}

const manifestRequest = (repository: string, reference: string) => ({
  path: `/v2/${repository}/manifests/${reference}`,
  scope: `repository:${repository}:pull`,
  accept: MANIFEST_ACCEPT,
  maxBytes: MAX_MANIFEST_BYTES,
})

interface FetchedManifest {
  digest: string
  document: ManifestDocument
  reply: SafeReply
}

async function getManifest(
  session: Session,
  repository: string,
  reference: string,
): Promise<RegistryOutcome<FetchedManifest>> {
  const got = await authorizedRequest(session, manifestRequest(repository, reference))
  if (!got.ok) return got
  const digest = `sha256:${await sha256HexOfBytes(got.value.body)}`
  const document = replyJson(got.value, ManifestDocument)
  if (!document.ok) return document
  if (isDigest(reference) && digest !== reference) return fail({ kind: 'corrupt' })
  return done({ digest, document: document.value, reply: got.value })
}

async function configPlatform(
  session: Session,
  repository: string,
  digest: string,
): Promise<RegistryOutcome<string>> {
  const got = await authorizedRequest(session, {
    path: `/v2/${repository}/blobs/${digest}`,
    scope: `repository:${repository}:pull`,
    accept: '*/*',
    maxBytes: MAX_CONFIG_BYTES,
  })
  if (!got.ok) return got
  if (`sha256:${await sha256HexOfBytes(got.value.body)}` !== digest) return fail({ kind: 'corrupt' })
  const config = replyJson(got.value, ImageConfig)
  const platform = config.ok ? platformText(config.value) : null
  if (platform !== null) return done(platform)
  return fail({ kind: 'unsupported_image', message: 'Its configuration names no platform.' })
}

/** Some proxies know no HEAD; GET then says what it is. */
const headUnsupported = (error: { kind: string; status?: number }): boolean =>
  error.kind === 'unexpected_status' && (error.status === 405 || error.status === 400)

const mediaTypeOf = (reply: SafeReply): string | null =>
  reply.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() || null
