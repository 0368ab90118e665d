import type { Organization } from '../context.ts'
import { type Database, statement } from './database.ts'

const LIFETIME = 5 * 60_000 // how long a moved organization is looked for in its old place
const MAX_CACHED = 5000 // about 200 bytes each

const cache = new Map<number, { organization: Organization; until: number }>()

/** Name and place of an organization by its tenant key, or null. Cached in the isolate for minutes. */
export async function organizationByNum(
  directory: Database,
  num: number,
  now: number,
): Promise<Organization | null> {
  const cached = cache.get(num)
  if (cached && now < cached.until) return cached.organization
  const organization = await directory.first<Organization>(
    statement('SELECT num, id, slug, shard FROM organizations WHERE num = ?', num),
  )
  if (organization) remember(organization, now)
  return organization
}

function remember(organization: Organization, now: number): void {
  cache.delete(organization.num)
  cache.set(organization.num, { organization, until: now + LIFETIME })
  if (cache.size > MAX_CACHED) cache.delete(cache.keys().next().value!)
}
