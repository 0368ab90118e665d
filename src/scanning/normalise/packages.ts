import { ENGINES, type ResultPackage } from '../sensors/result.ts'
import { type Entry, fullKey } from './catalogue.ts'
import { isOsType } from './identity.ts'
import type { PackageLocation } from './report.ts'
import { bounded, byUnits, type Notes } from './text.ts'

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
  const ofOs = isOsType(entry.identity.type)
  if (ofOs && layer && path && layers.size === 1 && paths.size === 1) return [{ path, layer }]
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
