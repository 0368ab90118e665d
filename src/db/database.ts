import { DrizzleQueryError } from 'drizzle-orm'
import { type DrizzleD1Database, drizzle } from 'drizzle-orm/d1'
import { invalid } from '../http/problems.ts'
import { StorageUnavailable } from './storage-unavailable.ts'

export type Param = string | number | null

/** SQL with its bound values; what every write is made of, so that it can join a batch. */
export interface Statement {
  readonly sql: string
  readonly params: readonly Param[]
}

export interface StatementResult<Row = Record<string, unknown>> {
  rows: Row[]
  /** Rows that an INSERT, UPDATE or DELETE changed. */
  changes: number
}

/** What D1 charged: round trips, rows read and rows written, by its own `meta`. */
export interface Meter {
  roundTrips: number
  rowsRead: number
  rowsWritten: number
}

/** Thrown when the batch's guard found that another writer was faster. Nothing of the batch was written. */
export class LostRace extends Error {
  constructor() {
    super('lost race')
    this.name = 'LostRace'
  }
}

/** Thrown when a unique key exists already. Nothing of the batch was written. */
export class DuplicateKey extends Error {
  /** The columns of the key, as `table.column, …`. */
  readonly constraint: string

  constructor(constraint: string) {
    super(`duplicate key: ${constraint}`)
    this.name = 'DuplicateKey'
    this.constraint = constraint
  }
}

/** Thrown when the database is overloaded or unreachable: the outcome of a write is unknown. */
export class DatabaseUnavailable extends StorageUnavailable {
  constructor(cause: unknown) {
    super('database', cause)
    this.name = 'DatabaseUnavailable'
  }
}

export const statement = (sql: string, ...params: Param[]): Statement => ({ sql, params })

/** Placed right after a guarded UPDATE or INSERT: aborts the whole batch unless exactly one row changed. */
export const EXPECT_ONE_CHANGE: Statement = statement(
  `SELECT json_extract(CASE changes() WHEN 1 THEN '{}' ELSE 'lost race' END, '$')`,
)

/**
 * One D1 database through a session, with every call counted. `orm` is drizzle over the same session, for
 * single-table reads and for building statements; results of joins need aliases that differ.
 */
export class Database {
  readonly orm: DrizzleD1Database
  private readonly session: D1DatabaseSession
  readonly meter: Meter

  constructor(session: D1DatabaseSession, meter: Meter) {
    this.session = session
    this.meter = meter
    this.orm = drizzle(this.meteredClient() as unknown as D1Database)
  }

  async all<Row>(query: Statement): Promise<Row[]> {
    return (await this.execute(() => this.prepare(query).all<Row>())).results
  }

  async first<Row>(query: Statement): Promise<Row | null> {
    return (await this.all<Row>(query))[0] ?? null
  }

  /** Runs one write; returns the number of rows it changed. */
  async run(query: Statement): Promise<number> {
    return (await this.execute(() => this.prepare(query).run())).meta.changes
  }

  /** Runs all statements in one transaction and one round trip. Throws LostRace, DuplicateKey or DatabaseUnavailable. */
  async batch(queries: readonly Statement[]): Promise<StatementResult[]> {
    if (queries.length === 0) return []
    const results = await this.call(() => this.session.batch(queries.map((query) => this.prepare(query))))
    for (const result of results) this.count(result.meta)
    return results.map((result) => ({
      rows: result.results as Record<string, unknown>[],
      changes: result.meta.changes,
    }))
  }

  /** Names the state this session has seen; a later session given it reads at least that state. */
  get bookmark(): string | null {
    return this.session.getBookmark()
  }

  private prepare(query: Statement): D1PreparedStatement {
    return this.session.prepare(query.sql).bind(...query.params)
  }

  private async execute<Row>(run: () => Promise<D1Result<Row>>): Promise<D1Result<Row>> {
    const result = await this.call(run)
    this.count(result.meta)
    return result
  }

  private async call<T>(run: () => Promise<T>): Promise<T> {
    this.meter.roundTrips++
    try {
      return await run()
    } catch (error) {
      throw classify(error)
    }
  }

  private count(meta: D1Meta & Record<string, unknown>): void {
    this.meter.rowsRead += meta.rows_read ?? 0
    this.meter.rowsWritten += meta.rows_written ?? 0
  }

  /** The part of D1's client that drizzle calls. Rows come as objects, so that D1 reports its `meta`. */
  private meteredClient() {
    const bound = (query: Statement) => ({
      bind: (...params: Param[]) => bound({ sql: query.sql, params }),
      all: () => this.execute(() => this.prepare(query).all()),
      run: () => this.execute(() => this.prepare(query).run()),
      raw: async () =>
        (await this.execute(() => this.prepare(query).all<Record<string, unknown>>())).results.map((row) =>
          Object.values(row),
        ),
    })
    return { prepare: (sql: string) => bound({ sql, params: [] }) }
  }
}

/** What went wrong in storage, where drizzle has wrapped it; any other error as it is. */
export const causeOf = (error: Error): Error =>
  error instanceof DrizzleQueryError && error.cause instanceof Error ? error.cause : error

function classify(error: unknown): unknown {
  const message = error instanceof Error ? error.message : String(error)
  if (/malformed JSON/.test(message)) return new LostRace()
  if (/bookmark/i.test(message)) return invalid({ path: 'X-D1-Bookmark', message: 'no reply handed it out' })
  const unique = /UNIQUE constraint failed: ([\w., ]+)/.exec(message)
  if (unique) return new DuplicateKey(unique[1]!)
  return UNAVAILABLE.test(message) ? new DatabaseUnavailable(error) : error
}

/** D1's words for what passes: overload, lost connections, resets of its object, and calls that took too long. */
const UNAVAILABLE =
  /overloaded|connection lost|object to be reset|reset because|timed out|exceeded timeout|transient issue|D1 DB is|internal error/i
