import { env } from 'cloudflare:workers'
import type { Organization } from '../../src/context.ts'
import { type Database, statement } from '../../src/db/database.ts'
import { newMeter, placedDb } from '../../src/db/shards.ts'
import type { Env } from '../../src/env.ts'
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
const ID = /\b(?:org|usr|key|agt|reg|img|tag|scn|ae|out|req)_[0-9a-z]{20}\b/g

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
  const objects = (await objectsOf(organization)).map((key) => ({ key: withoutUpload(key) }))
  const rows = Object.entries({ ...tables, objects }).flatMap(([table, all]) =>
    all.map((row) => `${table} ${plain(table, row, organization, replace)}`),
  )
  return numbered(rows)
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

const NAMED = /(?:artifact|package|match):\d+/g

/**
 * Replaces ids by numbers in the order of what is said about them elsewhere: rows are sorted by all but their ids,
 * then by the names given so far, until the order stands still.
 */
function numbered(rows: string[]): string[] {
  const names = new Map<string, string>()
  const nameOf = (id: string) => names.get(id) ?? `${kindOf(id)}?`
  const shown = (row: string) => row.replace(NAMED, nameOf).replace(ID, nameOf)
  for (let round = 0; round < 6; round++) {
    const sorted = rows
      .map((row) => [shown(row), row] as const)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    const counts = new Map<string, number>()
    const next = new Map<string, string>()
    for (const [, row] of sorted) {
      for (const [id] of [...row.matchAll(NAMED), ...row.matchAll(ID)]) {
        if (next.has(id)) continue
        const count = (counts.get(kindOf(id)) ?? 0) + 1
        counts.set(kindOf(id), count)
        next.set(id, `${kindOf(id)}#${count}`)
      }
    }
    const isSame = next.size === names.size && [...next].every(([id, name]) => names.get(id) === name)
    names.clear()
    for (const [id, name] of next) names.set(id, name)
    if (isSame) break
  }
  return rows.map(shown).sort()
}

const kindOf = (id: string): string => id.split(/[_:]/)[0]!
