import { isOsType, type Notes } from '../normalise/index.ts'
import type { FindingEngine, ResultPackage } from '../sensors/result.ts'
import type { KnownPackage } from './adopt-packages.ts'
import type { RecordList } from './envelope.ts'
import { type Lister, meetingKeys, type NamedRecord, namedRecord } from './packages.ts'

/** Name and version that findings have, and where their package stands: as trivy lists it, and as syft does. -1: nowhere. */
export interface Wanted {
  name: string
  version: string
  /** That name it, by their place in FINDING_ENGINES (bits). */
  engines: number
  trivy: number
  trivyRank: number
  syft: number
  syftRank: number
  /** Of the package that is made where no list has it; what the artifact knows it as. */
  made: number
  known: KnownPackage | null
}

const MAX_CONTEXTS = 20_000 // OS packages of an image; beyond it each list's own words stand, and memory stays bounded

type Context = Pick<ResultPackage, 'namespace' | 'distro' | 'source' | 'module'>

/** grype and osv read what syft lists. */
export const listerOf = (engine: FindingEngine): Lister => (engine === 'trivy' ? 'trivy' : 'syft')

const osKey = ({ type, name, version }: NamedRecord) => `${type}\u0000${name}\u0000${version}`

/**
 * The packages of an envelope 1.0. trivy and syft list the same package under types of their own: records become
 * equal, and so one package, where purl type, namespace, name and version agree; a record of no known type is the
 * package of its name and version. Of an OS package one context counts, syft's before trivy's, and the distribution
 * of the others where it names none. Holds no record: only what later readings need to give the same.
 */
export class ForeignCatalogue {
  listed = 0
  readonly listers = new Set<Lister>()
  private readonly contexts = new Map<string, Context>()
  private readonly distros = new Set<string>()
  /** Keys of records without a type, and what a typed record of the same name and version is. */
  private readonly untyped = new Map<
    string,
    Pick<NamedRecord, 'type' | 'namespace' | 'name' | 'version'> | null
  >()

  private readonly list: RecordList
  private readonly wanted: ReadonlyMap<string, Wanted>

  private constructor(list: RecordList, wanted: ReadonlyMap<string, Wanted>) {
    this.list = list
    this.wanted = wanted
  }

  /** Reads the list through, twice where records have no type. Sets the places of `wanted`. */
  static async of(
    list: RecordList,
    wanted: ReadonlyMap<string, Wanted>,
    notes: Notes,
  ): Promise<ForeignCatalogue> {
    const catalogue = new ForeignCatalogue(list, wanted)
    await catalogue.learn(notes)
    if (catalogue.untyped.size > 0) await catalogue.learnTypes()
    return catalogue
  }

  private async learn(notes: Notes): Promise<void> {
    for await (const { records } of this.list.read()) {
      for (const given of records) {
        const record = namedRecord(given, notes)
        if (!record) continue
        this.learnOne(record, this.listed++)
      }
    }
  }

  private learnOne(record: NamedRecord, index: number): void {
    this.listers.add(record.lister)
    if (record.distro) this.distros.add(record.distro)
    const keys = meetingKeys(record)
    if (!record.isTyped) for (const key of keys) this.untyped.set(key, null)
    for (const key of keys) {
      const wanted = this.wanted.get(key)
      if (wanted) this.place(wanted, record, index)
    }
    if (!isOsType(record.type)) return
    const known = this.contexts.get(osKey(record))
    if (!known && this.contexts.size >= MAX_CONTEXTS) return
    const [first, second] = record.lister === 'syft' || !known ? [record, known] : [known, record]
    this.contexts.set(osKey(record), {
      namespace: first.namespace ?? second?.namespace ?? null,
      distro: first.distro ?? second?.distro ?? null,
      source: first.source ?? second?.source ?? null,
      module: first.module ?? second?.module ?? null,
    })
  }

  /** Of several packages of one name and version: that of the engine's own list, then the one printed alike, then the first. */
  private place(wanted: Wanted, record: NamedRecord, index: number): void {
    const exact = record.printed.name === wanted.name ? 1 : 0
    for (const lister of ['trivy', 'syft'] as const) {
      const rank = (record.lister === lister ? 4 : 0) + (record.isTyped ? 2 : 0) + exact
      if (rank <= wanted[`${lister}Rank`]) continue
      wanted[lister] = index
      wanted[`${lister}Rank`] = rank
    }
  }

  private async learnTypes(): Promise<void> {
    const silent = { count: () => {}, lines: () => [] }
    for await (const { records } of this.list.read()) {
      for (const given of records) {
        const record = namedRecord(given, silent)
        if (!record?.isTyped) continue
        for (const key of meetingKeys(record)) {
          if (this.untyped.get(key) === null) this.untyped.set(key, record)
        }
      }
    }
  }

  /** A record of the list as a package. */
  resultPackage(record: NamedRecord): ResultPackage {
    const typed = record.isTyped ? record : this.typeOf(record)
    const { type, namespace, name, version } = typed
    const { lister, license } = record
    const [only] = this.distros.size === 1 ? this.distros : []
    const context = isOsType(type)
      ? (this.contexts.get(osKey({ ...record, type, name, version })) ?? record)
      : undefined
    return {
      type,
      namespace: context?.namespace ?? namespace,
      name,
      version,
      distro: isOsType(type) ? (context?.distro ?? only ?? null) : null,
      source: context?.source ?? null,
      module: context?.module ?? null,
      owner: null,
      licenses: license ? [license] : [],
      listedBy: [lister],
      locations: [],
    }
  }

  private typeOf(record: NamedRecord): Pick<NamedRecord, 'type' | 'namespace' | 'name' | 'version'> {
    for (const key of meetingKeys(record)) {
      const typed = this.untyped.get(key)
      if (typed) return typed
    }
    return record
  }

  /** The packages, in the slices of the list. */
  async *packages(wanted?: (slice: number) => boolean): AsyncGenerator<ResultPackage[]> {
    const silent = { count: () => {}, lines: () => [] }
    for await (const { records } of this.list.read(wanted)) {
      yield records.flatMap((given) => {
        const record = namedRecord(given, silent)
        return record ? [this.resultPackage(record)] : []
      })
    }
  }
}
