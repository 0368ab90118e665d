import type { EngineName } from '../sensors/result.ts'
import { isOsType } from './identity.ts'
import type { NamedPackage, PackageLocation } from './report.ts'
import { byUnits } from './text.ts'

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
export const SEPARATOR = '\u0000'

type Identity = Entry['identity']

/** The namespace of an OS package is its distribution's name, on which engines differ: an image has one. */
const baseKey = ({ type, namespace, name, version }: Identity): string =>
  [type, isOsType(type) ? '' : (namespace ?? ''), name, version].join(SEPARATOR)

export function fullKey(of: Identity): string {
  const source = of.source ? [of.source.name, of.source.version] : ['', '']
  const context = [of.distro ?? '', ...source, of.module ?? '', of.owner ?? '']
  return [of.type, of.namespace ?? '', of.name, of.version, ...context].join(SEPARATOR)
}

/** As `fullKey`, but without the namespace of an OS package: a .deb file lying in the image has none. */
const contextKey = (of: Identity): string => fullKey(isOsType(of.type) ? { ...of, namespace: null } : of)

const agrees = (a: string | null | undefined, b: string | null | undefined): boolean => !a || !b || a === b

/** True where no part of the context that both know differs. */
const compatible = (a: Identity, b: Identity): boolean =>
  agrees(a.distro, b.distro) &&
  agrees(a.module, b.module) &&
  agrees(a.source?.name, b.source?.name) &&
  agrees(a.source?.version, b.source?.version)

const MAX_LEVELS = 64 // deeper than any package lies; keeps a hostile path from costing its length squared

/** The path and its parents: trivy names a jar inside a jar by a path below the outer one, syft by the outer one. */
function* withParents(path: string): Generator<string> {
  let at = path
  for (let level = 0; level < MAX_LEVELS && at.length > 1; level++) {
    yield at
    at = at.slice(0, at.lastIndexOf('/'))
  }
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
export class Catalogue {
  private readonly byBase = new Map<string, Entry[]>()
  private readonly byPath = new Map<string, Entry>()
  private readonly byContext = new Map<string, Entry>()

  private open(identity: Identity): Entry {
    const entry: Entry = { identity, licenses: new Set(), listedBy: new Set(), locations: new Map() }
    const base = baseKey(identity)
    const others = this.byBase.get(base)
    if (others) others.push(entry)
    else this.byBase.set(base, [entry])
    return entry
  }

  private openOnce(pkg: NamedPackage): Entry {
    const key = contextKey(pkg)
    const entry = this.byContext.get(key) ?? this.open(identityOf(pkg))
    entry.identity.namespace ??= pkg.namespace
    this.byContext.set(key, entry)
    return entry
  }

  private choose(pkg: NamedPackage): Entry | undefined {
    const base = baseKey(pkg)
    for (const path of isOsType(pkg.type) ? [] : pkg.paths)
      for (const at of withParents(path)) {
        const entry = this.byPath.get(base + SEPARATOR + at)
        if (entry) return entry
      }
    const candidates = this.byBase.get(base) ?? []
    if (isOsType(pkg.type))
      return (
        this.byContext.get(contextKey(pkg)) ??
        candidates.find((entry) => compatible(entry.identity, pkg)) ??
        candidates.find((entry) => entry.listedBy.has('syft'))
      )
    return (
      candidates.find((entry) => entry.identity.owner === null) ??
      (pkg.paths.length === 0 ? candidates[0] : undefined)
    )
  }

  /** The entry that an engine's word is about; a new one, listed by nobody yet, where there is none. */
  private place(pkg: NamedPackage): Entry {
    const entry = this.choose(pkg) ?? this.open(identityOf(pkg))
    const { identity } = entry
    identity.namespace ??= pkg.namespace
    identity.distro ??= pkg.distro
    identity.source ??= pkg.source
    identity.module ??= pkg.module
    this.byContext.set(contextKey(identity), entry)
    return entry
  }

  private list(entry: Entry, pkg: NamedPackage): void {
    entry.listedBy.add(pkg.engine)
    for (const license of pkg.licenses) entry.licenses.add(license)
    for (const at of pkg.locations) entry.locations.set(at.path + SEPARATOR + (at.layer ?? ''), at)
    const base = baseKey(pkg)
    for (const path of pkg.paths) {
      const key = base + SEPARATOR + path
      if (!this.byPath.has(key)) this.byPath.set(key, entry)
    }
  }

  /** Lists one engine's packages. syft knows owners, so its contexts are taken as they are. */
  listAll(packages: NamedPackage[]): Map<NamedPackage, Entry> {
    const found = new Map<NamedPackage, Entry>()
    for (const pkg of inOrder(packages)) {
      const entry = pkg.engine === 'syft' ? this.openOnce(pkg) : this.place(pkg)
      this.list(entry, pkg)
      found.set(pkg, entry)
    }
    return found
  }

  /** The entries of packages that only findings name: known ones, else new ones, listed by the engine that names them. */
  placeAll(packages: NamedPackage[]): Map<NamedPackage, Entry> {
    const found = new Map<NamedPackage, Entry>()
    const made = new Set<Entry>()
    for (const pkg of inOrder(packages)) {
      const entry = this.place(pkg)
      if (entry.listedBy.size === 0) made.add(entry)
      if (made.has(entry)) this.list(entry, pkg)
      found.set(pkg, entry)
    }
    return found
  }

  entries(): Entry[] {
    return [...this.byBase.values()].flat()
  }
}

/** By identity and paths, so that the order of an engine's list does not matter. */
function inOrder(packages: NamedPackage[]): NamedPackage[] {
  const keyed = packages.map((pkg) => ({
    pkg,
    key: [fullKey(pkg), pkg.engine, ...pkg.paths].join(SEPARATOR),
  }))
  return keyed.sort((a, b) => byUnits(a.key, b.key)).map(({ pkg }) => pkg)
}

function identityOf(pkg: NamedPackage): Identity {
  const { type, namespace, name, version, distro, source, module, owner } = pkg
  return { type, namespace, name, version, distro, source, module, owner }
}
