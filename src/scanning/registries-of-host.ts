import { type Statement, statement } from '../db/database.ts'
import { formatAuthority, type ImageReference } from '../inventory/images/index.ts'

export interface RegistryPlaceRow {
  id: string
  host: string
  pathPrefix: string
  createdAt: number
}

const MAX_REGISTRIES_OF_HOST = 200 // connections of one organization to one host

/** Registries of a reference's host under both its spellings: https' port may be written or left out. */
export function registriesOfHost(org: number, { host, port }: ImageReference): Statement {
  const isDefaultPort = port === null || port === 443
  return statement(
    `SELECT id, host, path_prefix AS pathPrefix, created_at AS createdAt FROM registries INDEXED BY registries_host
      WHERE org = ? AND host IN (?, ?) AND status <> 'DELETING' LIMIT ?`,
    org,
    formatAuthority(host, port),
    isDefaultPort ? formatAuthority(host, port === null ? 443 : null) : formatAuthority(host, port),
    MAX_REGISTRIES_OF_HOST,
  )
}
