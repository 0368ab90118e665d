import type { Actor, BaseContext } from '../../context.ts'
import { deleteObjects, resultKey } from '../../db/blobs.ts'
import { type Database, DuplicateKey, EXPECT_ONE_CHANGE, LostRace, statement } from '../../db/database.ts'
import { promise, sendPromised } from '../../db/outbox.ts'
import { tenantDb } from '../../db/shards.ts'
import { sql } from '../../db/sql.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { invalid, problem } from '../../http/problems.ts'
import { newId } from '../../ids.ts'
import { recordImage } from '../../inventory/artifacts/index.ts'
import { chooseRegistry, formatAuthority, type ImageReference } from '../../inventory/images/index.ts'
import { uploadsRegistry } from '../../inventory/registries/index.ts'
import { type RegistryPlaceRow, registriesOfHost } from '../registries-of-host.ts'
import { standAloneScanId } from '../stand-alone-id.ts'
import type { ReceivedUpload } from './receive-upload.ts'
import { leaseLost, type RunnerIdentity } from './runner-identity.ts'
import { standAloneRows } from './stand-alone-rows.ts'
import type { UploadAnswer } from './take-upload.ts'
import { namedUpload } from './upload-name.ts'

/** Whose upload it is, and where its rows go. */
interface Owner {
  db: Database
  org: number
  actor: Actor
  /** The only registry that a sensor's key may upload to; null for an organization's key. */
  registryId: string | null
}

/** Where an upload's image lies. An uploads registry that is not there yet comes with its rows. */
interface Place {
  id: string
  host: string
  repository: string
  statements: Awaited<ReturnType<typeof uploadsRegistry>>['statements']
}

/**
 * Takes a result that names no job of this key: a scan of its own, in the key's registry, or for an organization's
 * key in the one that holds the image, else in the registry `uploads`. Stored first, then one batch with the scan,
 * its job and the message that has it ingested. The same id again is the same answer. Throws VALIDATION_ERROR on
 * `image.ref` and `scan.id`, PAYLOAD_TOO_LARGE for a legacy body, CONFLICT while the registry is being removed.
 */
export async function takeStandAlone(
  ctx: BaseContext,
  runner: RunnerIdentity,
  upload: ReceivedUpload,
): Promise<UploadAnswer> {
  const owner = ownerOf(ctx, runner)
  const { id, reference } = namedUpload(upload)
  const scanId = await standAloneScanId(owner.org, id)
  const [earlier, registries] = await owner.db.batch([
    earlierScan(owner.org, scanId),
    owner.registryId === null
      ? registriesOfHost(owner.org, reference)
      : sql`SELECT id, host, path_prefix AS pathPrefix, created_at AS createdAt FROM registries
             WHERE org = ${owner.org} AND id = ${owner.registryId} AND status <> 'DELETING'`,
  ])
  if (earlier!.rows[0]) return answer(200, scanId, earlier!.rows[0])
  const place = await placeOf(ctx, owner, reference, registries!.rows as unknown as RegistryPlaceRow[])
  const key = resultKey(owner.org, scanId, 1, newId('request'))
  await upload.store(ctx.env, key)
  try {
    return await created(ctx, owner, runner.credentialId, { scanId, key, reference, place })
  } catch (error) {
    if (!(error instanceof LostRace || error instanceof DuplicateKey)) throw error
    ctx.defer(deleteObjects(ctx.env, owner.org, [key]))
    if (error instanceof LostRace) throw removed()
    const [winner] =
      error instanceof DuplicateKey ? await owner.db.all<Row>(earlierScan(owner.org, scanId)) : []
    if (winner) return answer(200, scanId, winner)
    throw error
  }
}

type Row = Record<string, unknown>

const earlierScan = (org: number, scanId: string) =>
  statement('SELECT image_id FROM scans WHERE org = ? AND id = ?', org, scanId)

const answer = (status: 200 | 201, scanId: string, row: Row | undefined): UploadAnswer => ({
  status,
  reply: { ok: true, success: true, scanId, imageId: (row?.image_id as string | null | undefined) ?? null },
})

const removed = () => problem('CONFLICT', 'The registry of this image is being removed')

/** A runner of nobody's organization has nowhere to upload to. The role of an organization's key was checked at the door. */
function ownerOf(ctx: BaseContext, { org, shard, registryId, credentialId }: RunnerIdentity): Owner {
  const db = org === null || shard === null ? null : tenantDb(ctx.env, shard, ctx.directory.meter)
  if (org === null || !db) throw leaseLost()
  const actor: Actor =
    registryId === null
      ? { kind: 'api_key', id: credentialId, role: 'ci' }
      : { kind: 'sensor', credentialId, registryId }
  return { db, org, actor, registryId }
}

async function placeOf(
  ctx: BaseContext,
  { org, registryId, actor }: Owner,
  reference: ImageReference,
  registries: readonly RegistryPlaceRow[],
): Promise<Place> {
  if (registryId !== null && registries.length === 0) throw removed()
  const choice = chooseRegistry(reference, registries)
  if (choice.kind !== 'none') {
    const { id, host } = choice.kind === 'one' ? choice.registry : oldestOf(choice.registries)
    return { id, host, repository: reference.repository, statements: [] }
  }
  const authority = formatAuthority(reference.host, reference.port)
  if (registryId === null) {
    const uploads = await uploadsRegistry({ ...ctx, actor }, org)
    return { ...uploads, repository: `${authority}/${reference.repository}` }
  }
  const { host, pathPrefix } = registries[0]!
  const held = pathPrefix === '' ? host : `${host}/${pathPrefix}`
  throw invalid({ path: 'image.ref', message: `This key is for images of ${held}, not of ${authority}` })
}

/** Of several connections that fit alike the first one: an upload is never asked which. */
const oldestOf = (registries: readonly RegistryPlaceRow[]): RegistryPlaceRow =>
  registries.reduce((oldest, one) => (one.createdAt < oldest.createdAt ? one : oldest))

async function created(
  ctx: BaseContext,
  { db, org, actor }: Owner,
  credentialId: string,
  scan: { scanId: string; key: string; reference: ImageReference; place: Place },
): Promise<UploadAnswer> {
  const { scanId, key, reference, place } = scan
  const to = { org, registryId: place.id, host: place.host, repository: place.repository }
  const ingest = promise({ kind: 'scan.ingest', org, scanId }, ctx.now)
  const view = { id: scanId, image: reference.canonical, registryId: place.id }
  const [insertScan, insertJob] = standAloneRows({
    ...{ org, scanId, key, credentialId, actor, now: ctx.now },
    ...{ registryId: place.id, repository: place.repository, image: reference.canonical, tag: reference.tag },
  })
  const results = await db.batch([
    ...place.statements,
    recordImage(to, ctx.now),
    insertScan,
    EXPECT_ONE_CHANGE,
    insertJob,
    ingest.statement,
    auditRow({ ...ctx, actor }, org, 'scan.uploaded', `scan:${scanId}`, view),
    earlierScan(org, scanId),
  ])
  sendPromised(ctx, [ingest])
  return answer(201, scanId, results.at(-1)!.rows[0])
}
