import { ENGINES, type EngineName, type ResultPackage } from '../../../src/scanning/sensors/result.ts'
import { isOsType } from './identity.ts'
import type { NamedPackage, PackageLocation } from './report.ts'
import { bounded, byUnits, type Notes } from './text.ts'

/** A package of the image, while the engines' words about it are being united. */
export interface Entry {
  identity: Pick<
    NamedPackage,
    'type' | 'namespace' | 'name' | 'version' | 'distro' | 'source' | 'module' | 'owner'
  >
  licenses: Set<string>
  listedBy: Set<EngineName>
  locations: Map<string, PackageLocation>
}

/** No cleaned text holds a control character, so joined parts never collide. */
const SEPARATOR = '\u0000'

type Identity = Entry['identity']

/** The namespace of an OS package is its distribution's name, on which engines differ: an image has one. */
const baseKey = ({ type, namespace, name, version }: Identity): string =>
  [type, isOsType(type) ? '' : (namespace ?? ''), name, version].join(SEPARATOR)

export function fullKey(of: Identity): string {
  const source = of.source ? [of.source.name, of.source.version] : ['', '']
  const context = [of.distro ?? '', ...source, of.module ?? '', of.owner ?? '']
  return [of.type, of.namespace ?? '', of.name, of.version, ...context].join(SEPARATOR)
}

const agrees = (a: string | null | undefined, b: string | null | undefined): boolean => !a || !b || a === b

/** True where no part of the context that both know differs. */
const compatible = (a: Identity, b: Identity): boolean =>
  agrees(a.distro, b.distro) &&
  agrees(a.module, b.module) &&
  agrees(a.source?.name, b.source?.name) &&
  agrees(a.source?.version, b.source?.version)

/** The path and its parents: trivy names a jar inside a jar by a path below the outer one, syft by the outer one. */
function* withParents(path: string): Generator<string> {
  for (let at = path; at.length > 1; at = at.slice(0, at.lastIndexOf('/'))) yield at
}

/**
 * The packages of one image. `place` decides which entry an engine's word is about:
 * 1. the entry of the same purl type, namespace, name and version at the same path;
 * 2. for OS packages the entry whose context does not differ, else the one that syft lists: its word on distro,
 *    source and module wins, and what it does not know is taken from the other engine;
 * 3. for other packages the copy that no OS package owns; where no path is named, the only copies there are;
 * 4. a new entry.
 * syft's packages come first; entries are made and found in an order that does not depend on the input's.
 */
export function makeCatalogue() {
  const byBase = new Map<string, Entry[]>()
  const byPath = new Map<string, Entry>()

  function open(identity: Identity): Entry {
    const entry: Entry = { identity, licenses: new Set(), listedBy: new Set(), locations: new Map() }
    const base = baseKey(identity)
    const others = byBase.get(base)
    if (others) others.push(entry)
    else byBase.set(base, [entry])
    return entry
  }

  function choose(pkg: NamedPackage): Entry | undefined {
    const base = baseKey(pkg)
    for (const path of isOsType(pkg.type) ? [] : pkg.paths)
      for (const at of withParents(path)) {
        const entry = byPath.get(base + SEPARATOR + at)
        if (entry) return entry
      }
    const candidates = byBase.get(base) ?? []
    if (isOsType(pkg.type))
      return (
        candidates.find((entry) => fullKey(entry.identity) === fullKey(pkg)) ??
        candidates.find((entry) => compatible(entry.identity, pkg)) ??
        candidates.find((entry) => entry.listedBy.has('syft'))
      )
    return (
      candidates.find((entry) => entry.identity.owner === null) ??
      (pkg.paths.length === 0 ? candidates[0] : undefined)
    )
  }

  /** The entry that an engine's word is about; a new one, listed by nobody yet, where there is none. */
  function place(pkg: NamedPackage): Entry {
    const entry = choose(pkg) ?? open(identityOf(pkg))
    const { identity } = entry
    identity.namespace ??= pkg.namespace
    identity.distro ??= pkg.distro
    identity.source ??= pkg.source
    identity.module ??= pkg.module
    return entry
  }

  function list(entry: Entry, pkg: NamedPackage): void {
    entry.listedBy.add(pkg.engine)
    for (const license of pkg.licenses) entry.licenses.add(license)
    for (const at of pkg.locations) entry.locations.set(at.path + SEPARATOR + (at.layer ?? ''), at)
    const base = baseKey(pkg)
    for (const path of pkg.paths) {
      const key = base + SEPARATOR + path
      if (!byPath.has(key)) byPath.set(key, entry)
    }
  }

  /** Lists one engine's packages. syft knows owners, so its contexts are taken as they are. */
  function listAll(packages: NamedPackage[]): Map<NamedPackage, Entry> {
    const found = new Map<NamedPackage, Entry>()
    const exact = new Map<string, Entry>()
    for (const pkg of inOrder(packages)) {
      const own = fullKey(pkg)
      const entry = pkg.engine === 'syft' ? (exact.get(own) ?? open(identityOf(pkg))) : place(pkg)
      exact.set(own, entry)
      list(entry, pkg)
      found.set(pkg, entry)
    }
    return found
  }

  /** The entries of packages that only findings name: known ones, else new ones, listed by the engine that names them. */
  function placeAll(packages: NamedPackage[]): Map<NamedPackage, Entry> {
    const found = new Map<NamedPackage, Entry>()
    const made = new Set<Entry>()
    for (const pkg of inOrder(packages)) {
      const entry = place(pkg)
      if (entry.listedBy.size === 0) made.add(entry)
      if (made.has(entry)) list(entry, pkg)
      found.set(pkg, entry)
    }
    return found
  }

  return { listAll, placeAll, entries: () => [...byBase.values()].flat() }
}
export type Catalogue = ReturnType<typeof makeCatalogue>

/** By identity and paths, so that the order of an engine's list does not matter. */
function inOrder(packages: NamedPackage[]): NamedPackage[] {
  const keyed = packages.map((pkg) => ({
    pkg,
    key: [fullKey(pkg), pkg.engine, ...pkg.paths].join(SEPARATOR),
  }))
  return keyed.sort((a, b) => byUnits(a.key, b.key)).map(({ pkg }) => pkg)
}

const identityOf = ({
  type,
  namespace,
  name,
  version,
  distro,
  source,
  module,
  owner,
}: NamedPackage): Identity => ({
  type,
  namespace,
  name,
  version,
  distro,
  source,
  module,
  owner,
})

/**
 * Where a package lies. trivy names only the layer that brought an OS package, syft the path of the package
 * database and the layer that wrote it last: together they are that path and trivy's layer.
 */
function locationsOf(entry: Entry, notes: Notes): PackageLocation[] {
  const all = [...entry.locations.values()]
  const layers = new Set(all.filter((at) => at.path === '').map((at) => at.layer))
  const paths = new Set(all.filter((at) => at.path !== '').map((at) => at.path))
  const [layer] = layers
  const [path] = paths
  if (layer && path && layers.size === 1 && paths.size === 1) return [{ path, layer }]
  const placed = new Set(all.filter((at) => at.path !== '' && at.layer).flatMap((at) => [at.path, at.layer]))
  const useful = all.filter((at) =>
    at.path === '' ? !placed.has(at.layer) : at.layer || !placed.has(at.path),
  )
  useful.sort((a, b) => byUnits(a.path, b.path) || byUnits(a.layer ?? '', b.layer ?? ''))
  return bounded(useful, 1000, 'package.locations', notes)
}

/** The packages in order of identity, and the index of each entry. Entries that became equal are one package. */
export function resultPackages(
  entries: Entry[],
  notes: Notes,
): { packages: ResultPackage[]; indexOf: Map<Entry, number> } {
  const merged = new Map<string, Entry[]>()
  for (const entry of entries) {
    const key = fullKey(entry.identity)
    const same = merged.get(key)
    if (same) same.push(entry)
    else merged.set(key, [entry])
  }
  const packages: ResultPackage[] = []
  const indexOf = new Map<Entry, number>()
  for (const [, same] of [...merged].sort(([a], [b]) => byUnits(a, b))) {
    const [first, ...others] = same as [Entry, ...Entry[]]
    for (const entry of others) {
      for (const license of entry.licenses) first.licenses.add(license)
      for (const engine of entry.listedBy) first.listedBy.add(engine)
      for (const [key, at] of entry.locations) first.locations.set(key, at)
    }
    for (const entry of same) indexOf.set(entry, packages.length)
    packages.push({
      ...first.identity,
      licenses: bounded([...first.licenses].sort(byUnits), 50, 'package.licenses', notes),
      listedBy: ENGINES.filter((engine) => first.listedBy.has(engine)),
      locations: locationsOf(first, notes),
    })
  }
  return { packages, indexOf }
}
