import { z } from 'zod'
import type { ScanReason } from '../../../scanning/reasons.ts'

/** Where a sync goes on. Its text is also what a slice is guarded by: of two at the same place one writes. */
const Cursor = z.discriminatedUnion('phase', [
  z.object({
    phase: z.literal('catalogue'),
    /** The registry's own place; null at its beginning. */
    next: z.string().nullable(),
    names: z.number(),
  }),
  z.object({
    phase: z.literal('tags'),
    /** The last repository whose tags were read. */
    after: z.string(),
    /** Repositories that could not be read, and what the catalogue did not give. */
    unread: z.number(),
    note: z.enum(['no_catalogue', 'too_many']).nullable(),
  }),
])
export type SyncCursor = z.infer<typeof Cursor>
export type TagsCursor = Extract<SyncCursor, { phase: 'tags' }>

const FIRST: SyncCursor = { phase: 'catalogue', next: null, names: 0 }

export const parseCursor = (text: string | null): SyncCursor =>
  text === null ? FIRST : Cursor.parse(JSON.parse(text))

/** What a finished sync has to say although it worked, for `statusReason`; null for nothing. */
export function remarkOf({ unread, note }: TagsCursor): ScanReason | null {
  const remarks = [
    note === 'no_catalogue' && 'It does not list its repositories: images appear as they are scanned.',
    note === 'too_many' && 'It has more repositories than are read.',
    unread > 0 && `${unread} repositories could not be read.`,
  ]
  const message = remarks.filter(Boolean).join(' ')
  return message === '' ? null : { code: 'registry_error', message }
}
