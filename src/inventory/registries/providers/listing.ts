import { z } from 'zod'
import { isRepositoryName, isTagName } from '../../images/index.ts'
import { done, fail, type RegistryOutcome } from '../errors.ts'
import { isCursor, nextLink } from './links.ts'
import type { Page, PageRequest } from './provider.ts'
import { replyJson } from './reply.ts'
import { authorizedRequest, type Session } from './session.ts'

const PAGE_SIZE = 100 // every registry allows it; distribution refuses more than its configured maximum
const DEFAULT_PAGES = 20 // 2,000 names a call, well inside an invocation's limits
const MAX_PAGE_BYTES = 2 * 1024 * 1024 // registries that ignore n: some 20,000 names of 100 characters

const Catalogue = z.looseObject({ repositories: z.array(z.string()).nullable() })
const Tags = z.looseObject({ tags: z.array(z.string()).nullish() })

/** Repositories in the registry's own order. A registry without a catalogue is `catalogue_unsupported`. */
export async function listRepositories(session: Session, page: PageRequest): Promise<RegistryOutcome<Page>> {
  const listed = await readPages(session, page, {
    path: '/v2/_catalog',
    scope: 'registry:catalog:*',
    schema: Catalogue.transform(({ repositories }) => repositories ?? []),
    accepts: isRepositoryName,
  })
  if (listed.ok) return listed
  const { error } = listed
  const missing = error.kind === 'not_found' || (error.kind === 'unexpected_status' && error.status === 405)
  return missing ? fail({ kind: 'catalogue_unsupported' }) : listed
}

/** Tags in the registry's own order; `not_found` for a repository that is not there. */
export const listTags = (
  session: Session,
  repository: string,
  page: PageRequest,
): Promise<RegistryOutcome<Page>> =>
  readPages(session, page, {
    path: `/v2/${repository}/tags/list`,
    scope: `repository:${repository}:pull`,
    schema: Tags.transform(({ tags }) => tags ?? []),
    accepts: isTagName,
  })

interface Listing {
  path: string
  scope: string
  schema: z.ZodType<string[]>
  accepts(name: string): boolean
}

/** Follows Link headers for a bounded number of pages; a registry that leads in circles is `invalid_reply`. */
async function readPages(
  session: Session,
  page: PageRequest,
  listing: Listing,
): Promise<RegistryOutcome<Page>> {
  const items = new Set<string>()
  const seen = new Set<string>()
  let skipped = 0
  let query = page.cursor ?? `n=${PAGE_SIZE}`
  for (let pages = 0; pages < (page.maxPages ?? DEFAULT_PAGES); pages++) {
    if (!isCursor(query))
      return fail({ kind: 'invalid_reply', message: 'The place to go on at is not valid.' })
    if (seen.has(query)) return fail({ kind: 'invalid_reply', message: 'Its pages lead in a circle.' })
    seen.add(query)
    const path = `${listing.path}?${query}`
    const reply = await authorizedRequest(session, { path, scope: listing.scope, maxBytes: MAX_PAGE_BYTES })
    if (!reply.ok) return reply
    const names = replyJson(reply.value, listing.schema)
    if (!names.ok) return names
    for (const name of names.value) {
      if (listing.accepts(name)) items.add(name)
      else skipped++
    }
    const next = nextLink(reply.value.headers.get('link'), session.connection.baseUrl + path)
    if (next.kind === 'foreign') {
      return fail({ kind: 'invalid_reply', message: 'Its next page is on another host.' })
    }
    if (next.kind === 'none') return done({ items: [...items], next: null, skipped })
    query = next.query
  }
  return done({ items: [...items], next: query, skipped })
}
