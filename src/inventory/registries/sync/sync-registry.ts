import { and, eq } from 'drizzle-orm'
import type { Context } from '../../../context.ts'
import { SecretsUnavailable } from '../../../crypto/root-keys.ts'
import { RetryLater } from '../../../retry-later.ts'
import { reason, type ScanReason } from '../../../scanning/reasons.ts'
import { openRegistry } from '../connection.ts'
import { isTransient, type RegistryError, registryReason, retryAfterSeconds } from '../errors.ts'
import type { RegistryClient } from '../providers/provider.ts'
import { type RegistryRow, registries } from '../table.ts'
import { holds, readCatalogue } from './catalogue.ts'
import { parseCursor, remarkOf, type TagsCursor } from './cursor.ts'
import { loadImages } from './load-images.ts'
import { dropTags, type ImageChanges, type KnownImage, type ReadTags, readTags } from './read-tags.ts'
import { type SyncStep, takeStep } from './state.ts'
import { writeTags } from './write-tags.ts'

const SLICE_MS = 120_000 // of one message; the platform allows 15 minutes
const MAX_ATTEMPTS = 4 // deliveries of one slice to a registry that does not answer
const MAX_WAIT = 300 // seconds
const AT_ONCE = 4 // repositories; an invocation has six connections
const CALLS = 400 // a slice begins no repository beyond it; an invocation has 1,000 calls

/**
 * One slice of a sync: pages of the catalogue become images, then the tags of some images are read. It goes on where
 * the row says, and running it twice changes nothing twice. What the registry refuses becomes the registry's
 * status. Throws RetryLater while the registry may still answer.
 */
export async function syncRegistry(ctx: Context, registryId: string, attempt: number): Promise<void> {
  const row = await syncingRow(ctx, registryId)
  if (!row) return
  const client = await openForSlice(ctx, row)
  if ('code' in client) {
    await takeStep(ctx, row, { to: 'failed', reason: client })
    return
  }
  const cursor = parseCursor(row.syncCursor)
  const error =
    cursor.phase === 'catalogue'
      ? await readCatalogue(ctx, row, client, cursor)
      : await readSomeTags(ctx, row, client, cursor, attempt)
  if (error) await stumble(ctx, row, error, attempt)
}

/** What remains when a slice failed however often it was tried: the sync ends, the registry says so. */
export async function giveUpSync(ctx: Context, registryId: string): Promise<void> {
  const row = await syncingRow(ctx, registryId)
  const why = (row?.statusReason as ScanReason | null) ?? reason('registry_error')
  if (row) await takeStep(ctx, row, { to: 'failed', reason: why })
}

async function syncingRow(ctx: Context, registryId: string): Promise<RegistryRow | null> {
  const [row] = await ctx.db.orm
    .select()
    .from(registries)
    .where(and(eq(registries.org, ctx.organization.num), eq(registries.id, registryId)))
  return row && row.syncState !== 'idle' && row.status !== 'DELETING' ? row : null
}

async function openForSlice(ctx: Context, row: RegistryRow): Promise<RegistryClient | ScanReason> {
  try {
    const opened = await openRegistry(ctx, row, AbortSignal.timeout(SLICE_MS))
    return opened.ok ? opened.client : opened.reason
  } catch (error) {
    if (error instanceof SecretsUnavailable) return reason('credentials_unavailable')
    throw error
  }
}

/** The registry did not give what was asked: another try later, or the end. */
async function stumble(ctx: Context, row: RegistryRow, error: RegistryError, attempt: number): Promise<void> {
  const why = registryReason(error)
  if (!isTransient(error) || attempt >= MAX_ATTEMPTS) {
    await takeStep(ctx, row, { to: 'failed', reason: why })
    return
  }
  if (!(await takeStep(ctx, row, { to: 'retry', reason: why }))) return
  const wait = retryAfterSeconds(error) ?? 5 * 2 ** attempt
  throw new RetryLater(`registry: ${error.kind}`, Math.min(MAX_WAIT, Math.max(1, wait)))
}

/** Reads repositories a few at a time until enough was asked; what was read is kept when the next one fails. */
async function readSomeTags(
  ctx: Context,
  row: RegistryRow,
  client: RegistryClient,
  cursor: TagsCursor,
  attempt: number,
): Promise<RegistryError | null> {
  const images = await loadImages(ctx, row.id, cursor.after)
  const filter = { include: row.includeTags, exclude: row.excludeTags }
  const slice: Slice = { after: cursor.after, unread: cursor.unread, calls: 0, changes: [], error: null }
  for (let at = 0; at < images.length && slice.calls < CALLS && !slice.error; at += AT_ONCE) {
    const group = images.slice(at, at + AT_ONCE)
    const read = await Promise.all(
      group.map((image) =>
        holds(row.pathPrefix, image.repository)
          ? readTags(client, image, filter, ctx.now, attempt >= MAX_ATTEMPTS)
          : dropTags(image, ctx.now),
      ),
    )
    for (const [index, one] of read.entries()) collect(slice, group[index]!, one)
  }
  if (slice.error && slice.after === cursor.after) return slice.error
  const there: TagsCursor = { ...cursor, after: slice.after, unread: slice.unread }
  const isDone = images.length === 0
  const { statements, promised } = writeTags(row, slice.changes, ctx.now)
  const step: SyncStep = isDone ? { to: 'done', remark: remarkOf(there) } : { to: 'next', cursor: there }
  await takeStep(ctx, row, step, statements, promised)
  return null
}

interface Slice {
  /** The last repository of an unbroken row that was read. */
  after: string
  unread: number
  calls: number
  changes: ImageChanges[]
  error: RegistryError | null
}

function collect(slice: Slice, image: KnownImage, read: ReadTags): void {
  slice.calls += read.calls
  if (slice.error) return
  if (read.kind === 'failed') {
    slice.error = read.error
    return
  }
  if (read.kind === 'changes') slice.changes.push(read.changes)
  else slice.unread++
  slice.after = image.repository
}
