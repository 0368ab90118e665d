import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { D1Database, D1Result } from '@cloudflare/workers-types'

export interface TableSize {
  /** `table` or `table.index`. */
  name: string
  bytes: number
}

const PAGE = 5000 // rows read at once

/**
 * Bytes by table and index. D1 does not tell: the same rows go into a SQLite file with the same migrations, in the
 * order of their keys, so that pages are somewhat fuller than where rows came one by one.
 */
export async function tableSizes(root: string, db: D1Database): Promise<TableSize[]> {
  const copy = new DatabaseSync(':memory:')
  try {
    const dir = join(root, 'migrations', 'shard')
    const migrations = readdirSync(dir)
      .filter((file) => file.endsWith('.sql'))
      .sort()
    for (const file of migrations) copy.exec(readFileSync(join(dir, file), 'utf8'))
    const triggers = copy.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").all()
    for (const { name } of triggers) copy.exec(`DROP TRIGGER ${name}`)
    const tables = copy
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
      .all()
    for (const { name } of tables) await copyRows(db, copy, String(name))
    return copy
      .prepare(
        `SELECT iif(s.name = m.tbl_name, s.name, m.tbl_name || '.' || s.name) AS name, sum(s.pgsize) AS bytes
         FROM dbstat s JOIN sqlite_schema m ON m.name = s.name GROUP BY s.name ORDER BY bytes DESC`,
      )
      .all() as unknown as TableSize[]
  } finally {
    copy.close()
  }
}

type Value = string | number | null

async function copyRows(from: D1Database, to: DatabaseSync, table: string): Promise<void> {
  const info = to.prepare(`PRAGMA table_info(${table})`).all() as { name: string; pk: number }[]
  const columns = info.map(({ name }) => name)
  const keys = info.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk)
  const key = keys.map(({ name }) => name).join(', ')
  const insert = to.prepare(
    `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
  )
  to.exec('BEGIN')
  let last: Value[] | null = null
  for (;;) {
    const after: string = last ? `WHERE (${key}) > (${last.map(() => '?').join(', ')})` : ''
    const page: D1Result<Record<string, Value>> = await from
      .prepare(`SELECT ${columns.join(', ')} FROM ${table} ${after} ORDER BY ${key} LIMIT ${PAGE}`)
      .bind(...(last ?? []))
      .all<Record<string, Value>>()
    for (const row of page.results) insert.run(...columns.map((column) => row[column]!))
    const end = page.results.at(-1)
    if (!end || page.results.length < PAGE) break
    last = keys.map(({ name }) => end[name]!)
  }
  to.exec('COMMIT')
}
