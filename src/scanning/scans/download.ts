import type { Context } from '../../context.ts'
import { blobKey, readObject } from '../../db/blobs.ts'
import { statement } from '../../db/database.ts'
import { notFound } from '../../http/problems.ts'
import type { EngineName, SbomFormat } from '../sensors/result.ts'
import type { NamedBlob } from './finish.ts'

/** What each kind of blob is served as: never what a runner said it was. */
const MEDIA_TYPES: Record<SbomFormat, string> = {
  cyclonedx: 'application/vnd.cyclonedx+json; version=1.5',
  spdx: 'application/spdx+json',
}
const FILE_EXTENSIONS: Record<SbomFormat, string> = { cyclonedx: 'cdx.json', spdx: 'spdx.json' }

/** An engine's own output, byte for byte. Throws NOT_FOUND when the scan has none, or none any more. */
export const downloadRaw = (ctx: Context, scanId: string, engine: EngineName, request: Request) =>
  download(ctx, scanId, `raw/${engine}`, request, {
    resource: 'Output',
    mediaType: 'application/json',
    fileName: `${scanId}.${engine}.json`,
  })

/** The SBOM as syft wrote it, byte for byte. Throws NOT_FOUND when the scan has none. */
export const downloadSbom = (ctx: Context, scanId: string, format: SbomFormat, request: Request) =>
  download(ctx, scanId, `sbom/${format}`, request, {
    resource: 'SBOM',
    mediaType: MEDIA_TYPES[format],
    fileName: `${scanId}.${FILE_EXTENSIONS[format]}`,
  })

/** One round trip to the database, then a stream from R2; nothing from R2 where the client has it already. */
async function download(
  ctx: Context,
  scanId: string,
  kind: string,
  request: Request,
  as: { resource: string; mediaType: string; fileName: string },
): Promise<Response> {
  const org = ctx.organization.num
  const row = await ctx.db.first<{ blobs: string | null }>(
    statement('SELECT blobs FROM scans WHERE org = ? AND id = ?', org, scanId),
  )
  if (!row) throw notFound('Scan')
  const blobs = JSON.parse(row.blobs ?? '{}') as Record<string, NamedBlob | undefined>
  const blob = blobs[kind]
  if (!blob) throw notFound(as.resource)
  const etag = `"${blob.sha256}"`
  const headers = { ETag: etag, 'Cache-Control': 'private, no-cache' }
  if (namesTag(request.headers.get('If-None-Match'), etag))
    return new Response(null, { status: 304, headers })
  const object = await readObject(ctx.env, org, blobKey(org, blob.sha256))
  if (!object) throw notFound(as.resource)
  return new Response(object.body, {
    headers: {
      ...headers,
      'Content-Type': as.mediaType,
      'Content-Length': String(object.size),
      'Content-Disposition': `attachment; filename="${as.fileName}"`,
    },
  })
}

const namesTag = (given: string | null, etag: string): boolean =>
  (given ?? '').split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag)
