import type { CredentialRow } from './table.ts'

const instant = (time: number | null) => (time === null ? null : new Date(time).toISOString())

export const presentApiKey = (row: CredentialRow) => ({
  id: row.id,
  name: row.name,
  prefix: row.prefix,
  role: row.role,
  registryId: row.registryId,
  createdAt: new Date(row.createdAt).toISOString(),
  expiresAt: instant(row.expiresAt),
  lastUsedAt: instant(row.lastUsedAt),
})
