import { z } from 'zod'
import { invalid, problem } from '../../http/problems.ts'
import { type ImageReference, parseReference } from '../../inventory/images/index.ts'
import { MAX_LEGACY_BYTES } from '../foreign/index.ts'
import type { ReceivedUpload } from './receive-upload.ts'

const Id = z.string().min(1).max(200)
const text = z.string().nullish().catch(null)
const NamedImage = z.object({ ref: text, registry: text, name: text, tag: text, digest: text }).catch({
  ...{ ref: null, registry: null, name: null, tag: null, digest: null },
})

/**
 * What an upload without a job calls itself, and the image that it is about. Throws VALIDATION_ERROR on `scan.id` and
 * `image.ref` (a legacy body's `requestId` and `image.name`), PAYLOAD_TOO_LARGE for a legacy body.
 */
export function namedUpload({ head, length }: Pick<ReceivedUpload, 'head' | 'length'>): {
  id: string
  reference: ImageReference
} {
  const isLegacy = head.version === undefined
  if (isLegacy && (length === null || length > MAX_LEGACY_BYTES)) {
    const message = `A result without version has at most ${MAX_LEGACY_BYTES} bytes: upload an envelope 1.0`
    throw problem('PAYLOAD_TOO_LARGE', message)
  }
  const { data: id } = Id.safeParse(isLegacy ? (head.requestId ?? head.scanId) : head.scanId)
  const idPath = isLegacy ? 'requestId' : 'scan.id'
  if (!id) throw invalid({ path: idPath, message: 'must be the id of the upload, of 1 to 200 characters' })
  const image = NamedImage.parse(head.image)
  const named = isLegacy ? legacyReference(image) : (image.ref ?? '')
  const reference = parseReference(named)
  if (!reference.ok)
    throw invalid({ path: isLegacy ? 'image.name' : 'image.ref', message: reference.message })
  return { id, reference }
}

function legacyReference({ registry, name, tag, digest }: z.infer<typeof NamedImage>): string {
  const host = (registry ?? '').replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  const path = name ?? ''
  const named = host && !path.startsWith(`${host}/`) ? `${host}/${path}` : path
  if (tag) return `${named}:${tag}`
  return digest?.startsWith('sha256:') ? `${named}@${digest}` : named
}
