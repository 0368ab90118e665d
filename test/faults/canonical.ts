import { env } from 'cloudflare:workers'
import type { Organization } from '../../src/context.ts'
import { type Database, statement } from '../../src/db/database.ts'
import { newMeter, placedDb } from '../../src/db/shards.ts'
import type { Env } from '../../src/env.ts'
import { readAdvisoryText } from '../../src/risk/findings/index.ts'
import { decodeLocations } from '../../src/risk/findings/locations.ts'

type Row = Record<string, unknown>
type Tables = Record<string, Row[]>

/** Columns of numbers that say which run it was, not what happened: how often a job was leased, and where it stood. */
const INCIDENTAL = new Set([
  'jobs.fence',
  'jobs.leases',
  'jobs.rank',
  'jobs.agent_id',
  'jobs.claim',
  'registries.num',
  'artifact_packages.registry',
  'artifacts.registry_num',
  'artifact_locations.digest',
  'outbox.next_attempt_at',
  'audit_log.id',
  'idempotency.body_hash',
])

const TIME = /(_at|_until|^since|_order)$/

/** Integer ids: the column, and the table whose rows it names. */
const KEYS: Record<string, string> = {
  'artifacts.id': 'artifact',
  'scans.artifact': 'artifact',
  'tags.artifact': 'artifact',
  'tag_artifacts.artifact': 'artifact',
  'images.latest_artifact': 'artifact',
  'artifact_packages.artifact': 'artifact',
  'artifact_locations.artifact': 'artifact',
  'overrides.artifact': 'artifact',
  'resolutions.artifact': 'artifact',
  'packages.id': 'package',
  'artifact_packages.package': 'package',
  'artifact_locations.chunk': 'package',
  'matches.package': 'package',
  'resolutions.package': 'package',
  'matches.id': 'match',
  'matches.id_order': 'match',
  'overrides.match': 'match',
}

/** The database that a test looks through: never under faults. */
export const shardOf = ({ shard }: Organization): Database =>
  placedDb(env as unknown as Env, shard, newMeter())

/** Every row that an organization has in its shard. */
export async function tablesOf(organization: Organization): Promise<Tables> {
  const db = shardOf(organization)
  const tables = await db.all<{ name: string; sql: string }>(
    statement("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"),
  )
  const names = tables.filter(({ sql }) => /^ +org +INTEGER/im.test(sql)).map(({ name }) => name)
  const results = await db.batch(
    names.map((name) => statement(`SELECT * FROM ${name} WHERE org = ?`, organization.num)),
  )
  return Object.fromEntries(names.map((name, index) => [name, results[index]!.rows]))
}

/** Every key of R2 below an organization's prefix, in order. */
export async function objectsOf({ num }: Organization): Promise<string[]> {
  const keys: string[] = []
  let cursor: string | undefined
  do {
    const page = await (env as unknown as Env).ARTIFACTS.list({ prefix: `orgs/${num}/`, cursor })
    keys.push(...page.objects.map(({ key }) => key))
    cursor = page.truncated ? page.cursor : undefined
  } while (cursor)
  return keys
}

/**
 * All that an organization has, as lines that two runs of the same story have alike: ids are numbered by what they
 * name, times say only whether there is one.
 */
export async function canonicalState(organization: Organization, replace: Row = {}): Promise<string[]> {
  const tables = await tablesOf(organization)
  for (const row of tables.artifact_locations ?? []) {
    row.data = Object.fromEntries(
      [...(await decodeLocations(String(row.data)))].map(([id, at]) => [`package:${id}`, at]),
    )
  }
  await unpackTexts(tables)
  const objects = (await objectsOf(organization)).map((key) => ({ key: withoutUpload(key) }))
  const rows = Object.entries({ ...tables, objects }).flatMap(([table, all]) =>
    all.map((row) => `${table} ${plain(table, row, organization, replace)}`),
  )
  return numbered(rows)
}

/** Each advisory with its text: which others lie in the same pack depends on the order of results. */
async function unpackTexts(tables: Tables): Promise<void> {
  const packs = new Map(tables.advisory_texts!.map(({ id, data }) => [id, String(data)]))
  for (const row of tables.vulnerabilities!) {
    if (row.texts !== null) row.texts = await readAdvisoryText(packs.get(row.texts)!, String(row.id))
  }
  tables.advisory_texts = []
}

/** The part of a result's key that differs by lease and upload. */
const withoutUpload = (key: string): string => key.replace(/\/\d+-req_[0-9a-z]{20}$/, '/upload')

function plain(table: string, row: Row, { num }: Organization, replace: Row): string {
  const entries = Object.entries(row).flatMap(([column, value]) => {
    const name = `${table}.${column}`
    if (column === 'org' || INCIDENTAL.has(name)) return []
    if (value !== null && (TIME.test(column) || column === 'duration_ms')) return [[column, 'time']]
    if (name === 'audit_log.actor') return [[column, String(value).replace(/^system:.*/, 'system')]]
    if (value !== null && KEYS[name]) return [[column, `${KEYS[name]}:${value}`]]
    return [[column, withoutIncidents(value)]]
  })
  let text = JSON.stringify(Object.fromEntries(entries)).replaceAll(`orgs/${num}/`, 'orgs/n/')
  for (const [from, to] of Object.entries(replace)) text = text.replaceAll(from, String(to))
  return text
}

const withoutIncidents = (value: unknown): unknown =>
  typeof value === 'string'
    ? withoutUpload(value)
        .replace(/"fence":\d+/, '"fence":n')
        .replace(/"(created|updated|started)At":"[^"]+"/g, '"$1At":"time"')
    : value

const NAMED =
  /(?:artifact|package|match):\d+|\b(?:org|usr|key|agt|reg|img|tag|scn|ae|out|req)_[0-9a-z]{20}\b/g
const ROUNDS = 4 // as far apart as two rows of one story are: scan, tag, image, artifact, package

/**
 * Replaces each id by what the rows say about it: its kind, and a number in the order of the rows that name it, which
 * in turn are told apart by the other ids in them. Ids about which everything is alike get the same number.
 */
function numbered(rows: string[]): string[] {
  const holders = new Map<string, string[]>()
  for (const row of rows) {
    for (const [id] of row.matchAll(NAMED)) holders.set(id, [...(holders.get(id) ?? []), row])
  }
  let colours = new Map([...holders.keys()].map((id) => [id, kindOf(id)]))
  for (let round = 0; round < ROUNDS; round++) {
    const colourOf = (id: string, self: string) => (id === self ? 'self' : colours.get(id)!)
    colours = new Map(
      [...holders].map(([self, named]) => {
        const seen = named.map((row) => row.replace(NAMED, (id) => colourOf(id, self))).sort()
        return [self, `${kindOf(self)}~${hashOf(seen.join('\n'))}`]
      }),
    )
  }
  const ranks = new Map([...new Set(colours.values())].sort().map((colour, rank) => [colour, rank]))
  return rows.map((row) => row.replace(NAMED, (id) => `${kindOf(id)}#${ranks.get(colours.get(id)!)}`)).sort()
}

const kindOf = (id: string): string => id.split(/[_:]/)[0]!

/** FNV-1a in two halves: 64 bits tell some thousand texts apart. */
function hashOf(text: string): string {
  let [a, b] = [0x811c9dc5, 0x1000193]
  for (let index = 0; index < text.length; index++) {
    a = Math.imul(a ^ text.charCodeAt(index), 0x01000193)
    b = Math.imul(b ^ text.charCodeAt(index), 0x85ebca6b)
  }
  return `${(a >>> 0).toString(36)}.${(b >>> 0).toString(36)}`
}
