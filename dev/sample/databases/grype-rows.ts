import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { KnownExploited } from '../advisories/advisory.ts'
import { GRYPE_SCHEMA, GRYPE_TABLES } from './grype-schema.ts'

const DEBIAN_CODENAMES: Record<string, string> = { '11': 'bullseye', '12': 'bookworm', '13': 'trixie' }

interface AffectedPackageRow {
  vulnerabilityId: number
  release: { name: string; version: string } | null
  packageType: string
  packageName: string
  blob: object
}

/** Rows of one grype database file. Ids count up in the order of the calls, so equal calls give equal files. */
export class GrypeRows {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  readonly #ids = new Map<string, number>()

  constructor(path: string) {
    this.#database = new DatabaseSync(path)
    this.#database.exec(
      `pragma journal_mode = off; pragma synchronous = off; pragma page_size = 4096; ${GRYPE_TABLES} begin`,
    )
  }

  describe(builtAt: string, providers: readonly string[]): void {
    const { model, revision, addition } = GRYPE_SCHEMA
    this.#insert('db_metadata', { build_timestamp: datetime(builtAt), model, revision, addition })
    this.#insert('epss_metadata', { date: datetime(`${builtAt.slice(0, 10)}T00:00:00Z`) })
    for (const id of providers) {
      const row = { id, version: '1', processor: 'harborguard-sample', date_captured: datetime(builtAt) }
      this.#insert('providers', { ...row, input_digest: 'sha256:sample' })
    }
  }

  vulnerability(
    name: string,
    provider: string,
    published: string | null,
    modified: string | null,
    blob: object,
  ): number {
    return this.#insert('vulnerability_handles', {
      name,
      status: 'active',
      published_date: datetime(published),
      modified_date: datetime(modified),
      provider_id: provider,
      blob_id: this.#blob(blob),
    })
  }

  alias(name: string, alias: string): void {
    this.#once(`alias ${name} ${alias}`, () => this.#insert('vulnerability_aliases', { name, alias }))
  }

  weakness(cve: string, cwe: string): void {
    this.#insert('cwe_handles', { cve, cwe, source: 'nvd@nist.gov', type: 'Primary' })
  }

  knownExploited(cve: string, entry: KnownExploited): void {
    const blob = {
      cve,
      vendor_project: entry.vendor,
      product: entry.product,
      date_added: `${entry.added}T00:00:00Z`,
      due_date: `${entry.due}T00:00:00Z`,
      required_action: entry.action,
      known_ransomware_campaign_use: entry.ransomware.toLowerCase(),
      cwes: entry.cwes,
    }
    this.#insert('known_exploited_vulnerability_handles', { cve, blob_id: this.#blob(blob) })
  }

  affectedPackage(row: AffectedPackageRow): void {
    const { release, packageType, packageName } = row
    this.#insert('affected_package_handles', {
      vulnerability_id: row.vulnerabilityId,
      operating_system_id: release && this.#operatingSystem(release.name, release.version),
      package_id: this.#once(`package ${packageType} ${packageName.toLowerCase()}`, () =>
        this.#insert('packages', { ecosystem: packageType, name: packageName }),
      ),
      blob_id: this.#blob(row.blob),
    })
  }

  commit(): void {
    this.#database.exec('commit')
  }

  close(): void {
    this.#database.close()
  }

  #operatingSystem(name: string, version: string): number {
    const [major, minor = ''] = version.split('.')
    return this.#once(`os ${name} ${version}`, () =>
      this.#insert('operating_systems', {
        name,
        release_id: name,
        major_version: major!,
        minor_version: minor,
        label_version: '',
        codename: name === 'debian' ? (DEBIAN_CODENAMES[major!] ?? '') : '',
        channel: '',
      }),
    )
  }

  #blob(value: object): number {
    return this.#insert('blobs', { value: `${JSON.stringify(value)}\n` })
  }

  #once(key: string, insert: () => number): number {
    const id = this.#ids.get(key) ?? insert()
    this.#ids.set(key, id)
    return id
  }

  #insert(table: string, row: Record<string, string | number | null>): number {
    const statement =
      this.#statements.get(table) ??
      this.#database.prepare(
        `insert into ${table}(${Object.keys(row).join(', ')}) values(${Object.keys(row)
          .map(() => '?')
          .join(', ')})`,
      )
    this.#statements.set(table, statement)
    return Number(statement.run(...Object.values(row)).lastInsertRowid)
  }
}

/** ISO 8601 as grype's Go driver stores it: `2026-11-20 06:00:00+00:00`, whole seconds, UTC. */
function datetime(iso: string | null): string | null {
  if (iso === null) return null
  return new Date(iso)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, '+00:00')
}
