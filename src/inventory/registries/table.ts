import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { ProviderName } from './provider-names.ts'
import type { ScanMethod, Schedule } from './schemas.ts'

export const registries = sqliteTable('registries', {
  id: text().primaryKey(),
  num: integer().notNull().unique(),
  org: integer().notNull(),
  name: text().notNull(),
  provider: text().$type<ProviderName>().notNull(),
  url: text().notNull(),
  host: text().notNull(),
  pathPrefix: text('path_prefix').notNull(),
  insecure: integer({ mode: 'boolean' }).notNull(),
  credentials: text(),
  dek: text(),
  kekVersion: integer('kek_version'),
  scanMethod: text('scan_method').$type<ScanMethod>().notNull(),
  scanners: text({ mode: 'json' }).$type<string[]>().notNull(),
  schedule: text().$type<Schedule>().notNull(),
  includeTags: text('include_tags'),
  excludeTags: text('exclude_tags'),
  runnerLabels: text('runner_labels', { mode: 'json' }).$type<string[]>().notNull(),
  status: text().$type<'UNTESTED' | 'ACTIVE' | 'ERROR' | 'DELETING'>().notNull(),
  statusReason: text('status_reason', { mode: 'json' }).$type<{ code: string; message: string }>(),
  imageCount: integer('image_count').notNull(),
  nextRunAt: integer('next_run_at'),
  syncState: text('sync_state').$type<'idle' | 'queued' | 'running'>().notNull(),
  syncCursor: text('sync_cursor'),
  syncStartedAt: integer('sync_started_at'),
  syncedAt: integer('synced_at'),
  createdAt: integer('created_at').notNull(),
  updatedAt: integer('updated_at').notNull(),
})

export type RegistryRow = typeof registries.$inferSelect
