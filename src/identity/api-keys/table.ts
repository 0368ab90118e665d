import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { Role } from '../../auth/roles.ts'

export const credentials = sqliteTable('credentials', {
  hash: text().primaryKey(),
  id: text().notNull().unique(),
  kind: text().$type<'api_key' | 'sensor_key' | 'runner_key'>().notNull(),
  org: integer(),
  name: text().notNull(),
  prefix: text().notNull(),
  role: text().$type<Role>().notNull(),
  registryId: text('registry_id'),
  createdBy: text('created_by').notNull(),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at'),
  revokedAt: integer('revoked_at'),
  lastUsedAt: integer('last_used_at'),
})

export type CredentialRow = typeof credentials.$inferSelect
