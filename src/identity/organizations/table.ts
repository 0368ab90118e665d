import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'

export const organizations = sqliteTable('organizations', {
  num: integer().primaryKey({ autoIncrement: true }),
  id: text().notNull().unique(),
  slug: text().notNull().unique(),
  name: text().notNull(),
  shard: text().notNull(),
  bucket: text().notNull().default('ARTIFACTS'),
  jurisdiction: text(),
  createdAt: integer('created_at').notNull(),
})

export const users = sqliteTable('users', {
  id: text().primaryKey(),
  email: text().notNull().unique(),
  name: text().notNull(),
  createdAt: integer('created_at').notNull(),
})

export const memberships = sqliteTable(
  'memberships',
  {
    org: integer().notNull(),
    userId: text('user_id').notNull(),
    role: text().notNull(),
    status: text().notNull(),
    createdAt: integer('created_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.org, table.userId] })],
)
