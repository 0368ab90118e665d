import type { Context } from '../../../context.ts'
import { type Statement, statement } from '../../../db/database.ts'
import { jsonChunks } from '../../../db/json-chunks.ts'
import { newId } from '../../../ids.ts'
import type { RegistryError } from '../errors.ts'
import type { RegistryClient } from '../providers/provider.ts'
import type { RegistryRow } from '../table.ts'
import type { SyncCursor, TagsCursor } from './cursor.ts'
import { takeStep } from './state.ts'

const PAGES = 10 // of the catalogue in one slice: about 1,000 names
const MAX_NAMES = 20_000 // repositories of one registry

type CatalogueCursor = Extract<SyncCursor, { phase: 'catalogue' }>

/**
 * Pages of the catalogue become images. A registry without a catalogue still has the images that scans found.
 * Returns what the registry refused, or null when the slice was written.
 */
export async function readCatalogue(
  ctx: Context,
  row: RegistryRow,
  client: RegistryClient,
  cursor: CatalogueCursor,
): Promise<RegistryError | null> {
  const page = await client.listRepositories({ cursor: cursor.next, maxPages: PAGES })
  if (!page.ok)
    return page.error.kind === 'catalogue_unsupported' ? withoutCatalogue(ctx, row, client) : page.error
  const { items, next } = page.value
  const names = cursor.names + items.length
  const full = next !== null && names >= MAX_NAMES
  const images = items.filter((name) => holds(row.pathPrefix, name)).slice(0, MAX_NAMES)
  const after: SyncCursor =
    next === null || full ? tagsFrom(full ? 'too_many' : null) : { phase: 'catalogue', next, names }
  await takeStep(ctx, row, { to: 'next', cursor: after }, addImages(row, images, ctx.now))
  return null
}

/** Told from an address that is no registry at all by asking its root. */
async function withoutCatalogue(
  ctx: Context,
  row: RegistryRow,
  client: RegistryClient,
): Promise<RegistryError | null> {
  const probed = await client.probe()
  if (!probed.ok) return probed.error
  await takeStep(ctx, row, { to: 'next', cursor: tagsFrom('no_catalogue') })
  return null
}

const tagsFrom = (note: TagsCursor['note']): TagsCursor => ({ phase: 'tags', after: '', unread: 0, note })

/** Whether a repository lies below the path that the connection is limited to. */
export const holds = (prefix: string, repository: string): boolean =>
  prefix === '' || repository === prefix || repository.startsWith(`${prefix}/`)

const addImages = (row: RegistryRow, repositories: readonly string[], now: number): Statement[] =>
  jsonChunks(repositories.map((repository) => [newId('image'), repository])).map(({ json }) =>
    statement(
      `INSERT INTO images (id, org, registry_id, repository, name, created_at)
       SELECT value ->> 0, ?2, ?3, value ->> 1, ?4 || '/' || (value ->> 1), ?5 FROM json_each(?1) WHERE true
       ON CONFLICT (org, registry_id, repository) DO NOTHING`,
      json,
      ...[row.org, row.id, row.host, now],
    ),
  )
