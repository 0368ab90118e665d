import type { Context } from '../../context.ts'
import { type Param, type Statement, statement } from '../../db/database.ts'
import type { BatchLimits } from './limits.ts'
import { newMatchId } from './match-id.ts'

const PAGE = `INSERT INTO ingest_pages (org, scan_id, attempt, page, written_at, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)`

/** Pages that another attempt took away would be read as nothing: the batch does not go through without all of them. */
const COMPLETE = `SELECT json_extract(CASE (SELECT count(*) FROM ingest_pages
  WHERE org = ?1 AND scan_id = ?2 AND attempt = ?3) WHEN ?4 THEN '{}' ELSE 'lost race' END, '$')`

const FORGET = 'DELETE FROM ingest_pages WHERE org = ?1 AND scan_id = ?2'

/**
 * Statements of a batch to come whose values are too large, together, to be held or sent at once: the values are
 * written to `ingest_pages` meanwhile, where nothing but the batch reads them. One of these per attempt.
 */
export class PagedStatements {
  private readonly ctx: Context
  private readonly scanId: string
  private readonly limits: Pick<BatchLimits, 'held' | 'value'>
  private readonly attempt = newMatchId()
  private statements: Statement[] = []
  private held = 0
  private pages = 0
  private from = 0

  constructor(ctx: Context, scanId: string, limits: Pick<BatchLimits, 'held' | 'value'>) {
    this.ctx = ctx
    this.scanId = scanId
    this.limits = limits
  }

  async add(statements: readonly Statement[]): Promise<void> {
    for (const each of statements) {
      this.statements.push(each)
      this.held += each.params.reduce<number>((sum, value) => sum + sizeOf(value), 0)
      if (this.held > this.limits.held) await this.write()
    }
  }

  /** For the batch, in order. What earlier attempts left behind goes with it. */
  all(): Statement[] {
    if (this.pages === 0) return this.statements
    const org = this.ctx.organization.num
    return [
      statement(COMPLETE, org, this.scanId, this.attempt, this.pages),
      ...this.statements,
      forgetPages(org, this.scanId),
    ]
  }

  /** Takes the pages away. */
  async discard(): Promise<void> {
    if (this.pages > 0) await this.ctx.db.run(forgetPages(this.ctx.organization.num, this.scanId))
  }

  /** Moves the large values of what was added last into pages. */
  private async write(): Promise<void> {
    const inserts: Statement[] = []
    for (let index = this.from; index < this.statements.length; index++) {
      const { sql, params } = this.statements[index]!
      this.statements[index] = params.reduce<Statement>(
        (given, value, position) =>
          sizeOf(value) < this.limits.value ? given : this.paged(given, position, inserts),
        { sql, params },
      )
    }
    this.from = this.statements.length
    this.held = 0
    await this.ctx.db.batch(inserts)
  }

  private paged({ sql, params }: Statement, position: number, inserts: Statement[]): Statement {
    const org = this.ctx.organization.num
    const page = this.pages++
    inserts.push(
      statement(PAGE, org, this.scanId, this.attempt, page, this.ctx.now, params[position] as string),
    )
    const stored = `(SELECT data FROM ingest_pages
      WHERE org = ${org} AND scan_id = ?${params.length + 1} AND attempt = ${this.attempt} AND page = ${page})`
    const parameter = new RegExp(`\\?${position + 1}(?!\\d)`, 'g')
    return {
      sql: sql.replace(parameter, (name) => `coalesce(${name}, ${stored})`),
      params: [...params.with(position, null), this.scanId],
    }
  }
}

const sizeOf = (value: Param) => (typeof value === 'string' ? value.length : 0)

/** Takes away what an ingest of this scan wrote to pages. */
const forgetPages = (org: number, scanId: string): Statement => statement(FORGET, org, scanId)

/** Longer than a result is tried: what was written before belongs to no ingest any more. */
const KEPT_MS = 3 * 60 * 60 * 1000

/** At most `limit` pages of one shard that an ingest left behind when it ended in between. */
export const forgetLeftPages = (now: number, limit: number): Statement =>
  statement(
    `DELETE FROM ingest_pages WHERE (org, scan_id, attempt, page) IN (SELECT org, scan_id, attempt, page
       FROM ingest_pages INDEXED BY ingest_pages_age WHERE written_at <= ? LIMIT ?)`,
    now - KEPT_MS,
    limit,
  )
