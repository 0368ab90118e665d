import { type Statement, statement } from '../../db/database.ts'
import { jsonChunks } from '../../db/json-chunks.ts'
import { gunzipText, gzipText } from './gzip-text.ts'
import type { IncomingVulnerability } from './incoming.ts'
import { newMatchId } from './match-id.ts'

/** What an advisory says. Times in milliseconds. */
export interface AdvisoryText {
  title: string | null
  description: string | null
  links: string[]
  cwes: string[]
  publishedAt: number | null
  modifiedAt: number | null
}

type Packed = [
  title: string | null,
  description: string | null,
  links: string[],
  cwes: string[],
  publishedAt: number | null,
  modifiedAt: number | null,
]

const PACK_CHARACTERS = 32_000 // some 60 advisories: small enough to open for one of them

/** Before the rows are written anew: their former packs hold so many advisories less. Each by primary key. */
const LEAVE = `WITH leaving AS MATERIALIZED (
    SELECT v.texts AS id, count(*) AS n FROM json_each(?2) j
    CROSS JOIN vulnerabilities v ON v.org = ?1 AND v.id = j.value WHERE v.texts IS NOT NULL GROUP BY v.texts)
  UPDATE advisory_texts SET members = members - leaving.n FROM leaving
  WHERE advisory_texts.id = leaving.id AND +advisory_texts.org = ?1`

const DROP_EMPTY = `DELETE FROM advisory_texts WHERE +org = ?1 AND members = 0 AND id IN (
    SELECT v.texts FROM json_each(?2) j CROSS JOIN vulnerabilities v ON v.org = ?1 AND v.id = j.value)`

const PACK = 'INSERT INTO advisory_texts (org, id, members, data) VALUES (?1, ?2, ?3, ?4)'

const ADVISORIES = `INSERT INTO vulnerabilities (org, id, aliases, links, cwes, digest, engines, texts)
  SELECT ?1, value ->> 0, value ->> 1, '[]', '[]', value ->> 2, value ->> 3, value ->> 4 FROM json_each(?2) WHERE true
  ON CONFLICT (org, id) DO UPDATE SET aliases = excluded.aliases, title = NULL, description = NULL,
    links = excluded.links, cwes = excluded.cwes, published_at = NULL, modified_at = NULL,
    digest = excluded.digest, engines = excluded.engines, texts = excluded.texts`

/** Advisories that are new or changed: their rows, and what they say in packs of several. */
export async function advisoryStatements(
  org: number,
  advisories: readonly IncomingVulnerability[],
): Promise<Statement[]> {
  const ids = jsonChunks(advisories.map(({ text }) => text.id))
  const packs = await Promise.all(packsOf(advisories).map((pack) => packed(org, pack)))
  return [
    ...ids.flatMap(({ json }) => [statement(LEAVE, org, json), statement(DROP_EMPTY, org, json)]),
    ...packs.map(({ insert }) => insert),
    ...jsonChunks(packs.flatMap(({ rows }) => rows)).map(({ json }) => statement(ADVISORIES, org, json)),
  ]
}

function packsOf(advisories: readonly IncomingVulnerability[]): IncomingVulnerability[][] {
  const packs: IncomingVulnerability[][] = []
  let room = 0
  for (const advisory of advisories) {
    const { title, description, links } = advisory.text
    const size = (title?.length ?? 0) + (description?.length ?? 0) + links.join().length + 100
    if (room < size) {
      packs.push([])
      room = PACK_CHARACTERS
    }
    packs.at(-1)!.push(advisory)
    room -= size
  }
  return packs
}

async function packed(org: number, advisories: readonly IncomingVulnerability[]) {
  const id = newMatchId()
  const texts = advisories.map(({ text }): [string, Packed] => [
    text.id,
    [
      ...([text.title, text.description, text.links, text.cwes] as const),
      ...([instant(text.publishedAt), instant(text.modifiedAt)] as const),
    ],
  ])
  return {
    insert: statement(PACK, org, id, advisories.length, await gzipText(JSON.stringify(texts))),
    rows: advisories.map(({ text, digest, engines }) => [
      ...[text.id, JSON.stringify(text.aliases), digest, engines, id],
    ]),
  }
}

const instant = (text: string | null) => (text === null ? null : Date.parse(text))

/** What a pack (`advisory_texts.data`) holds of an advisory; null where it holds nothing. */
export async function readAdvisoryText(data: string, id: string): Promise<AdvisoryText | null> {
  const texts = new Map(JSON.parse(await gunzipText(data)) as [string, Packed][])
  const found = texts.get(id)
  if (!found) return null
  const [title, description, links, cwes, publishedAt, modifiedAt] = found
  return { title, description, links, cwes, publishedAt, modifiedAt }
}
