import { type Database, statement } from '../../db/database.ts'
import { jsonChunks } from '../../db/json-chunks.ts'
import type { ResultSource } from '../../scanning/results/index.ts'
import type { ResultPackage } from '../../scanning/sensors/result.ts'
import type { Acceptance } from './accept.ts'
import { isCounted, PackageSet } from './incoming.ts'
import type { Range } from './part.ts'
import { ADD_PACKAGES, batched, INCOMING_KEY, keyOf, type Row } from './state.ts'
import type { Survey } from './survey.ts'

/** What a slice of a list is about: the index of its first element, and the lowest and highest package id. */
export interface SliceRange extends Range {
  start: number
}

/**
 * The packages of a large result and of its artifact, ordered by id: numbers only, some 40 bytes for each.
 * `listed` gives a package's id by its index in the result, 0 where it does not count.
 */
export interface PackageTable {
  listed: Float64Array
  packageSlices: SliceRange[]
  ids: Float64Array
  /** Live artifacts that hold a package; -1 for packages that the result does not list. */
  holders: Int32Array
  linked: Uint8Array
  /** What a package adds to a window: itself, its findings and matches, its paths. */
  weights: Uint32Array
}

const AT_ONCE = 3000 // packages of one round trip
const PATH_CHARACTERS = 200 // weigh as much as a finding

const MATCHES = '(SELECT count(*) FROM matches m INDEXED BY matches_key WHERE m.org = ?1 AND m.package ='

const FOUND = `SELECT j.key AS position, p.id AS package, p.holders, ${MATCHES} p.id) AS matches
  FROM json_each(?2) j CROSS JOIN ${INCOMING_KEY}`

const LINKS = `SELECT ap.package, ${MATCHES} ap.package) AS matches FROM artifact_packages ap
  WHERE ap.org = ?1 AND ap.artifact = ?2 AND ap.package > ?3 ORDER BY ap.package LIMIT ?4`

const LINKS_A_PAGE = 5000

/** Writes package versions that the organization has not seen; they are invisible until linked. */
export async function readPackages(
  db: Database,
  org: number,
  artifact: number,
  result: ResultSource,
  survey: Survey,
  acceptance: Acceptance,
): Promise<PackageTable> {
  const { packages } = result.counts
  const listed = new Float64Array(packages)
  const holders = new Int32Array(packages)
  const weights = survey.findings.map((findings) => 1 + findings)
  const starts: number[] = []
  let index = 0
  let group: [number, ResultPackage][] = []
  const flush = async () => {
    for (const [at, row] of await found(db, org, group)) {
      listed[at] = row.package as number
      holders[at] = row.holders as number
      weights[at]! += row.matches as number
    }
    group = []
  }
  for await (const slice of result.packages()) {
    starts.push(index)
    for (const each of slice) {
      if (survey.findings[index]! > 0 || isCounted(each, acceptance)) group.push([index, each])
      weights[index]! += pathWeight(each)
      index++
    }
    if (group.length >= AT_ONCE) await flush()
  }
  await flush()
  const packageSlices = starts.map((start, number) => ({
    start,
    ...idsBetween(listed, start, (starts[number + 1] ?? packages) - 1),
  }))
  const links = await readLinks(db, org, artifact)
  return { listed, packageSlices, ...tableOf({ listed, holders, weights }, links) }
}

const pathWeight = ({ locations }: ResultPackage) =>
  Math.floor(locations.reduce((sum, { path }) => sum + path.length, 0) / PATH_CHARACTERS)

/** Rows of packages by their index in the result. */
async function found(
  db: Database,
  org: number,
  group: readonly [number, ResultPackage][],
): Promise<[number, Row][]> {
  const set = new PackageSet()
  const positions = group.map(([, listed]) => set.add(listed))
  const chunks = jsonChunks(set.all.map(keyOf))
  const [, rows] = await batched(db, [
    chunks.map(({ json }) => statement(ADD_PACKAGES, org, json)),
    chunks.map(({ json }) => statement(FOUND, org, json)),
  ])
  const byPosition: Row[] = []
  for (const [chunk, list] of rows!.entries())
    for (const row of list) byPosition[chunks[chunk]!.from + (row.position as number)] = row
  return group.map(([index], at) => [index, byPosition[positions[at]!]!])
}

/** The lowest and highest id among listed packages of these indexes; an empty range where none counts. */
export function idsBetween(listed: Float64Array, first: number, last: number): Range {
  const range = { from: Number.MAX_SAFE_INTEGER, to: 0 }
  for (let index = first; index <= last; index++) {
    const id = listed[index]!
    if (id === 0) continue
    range.from = Math.min(range.from, id)
    range.to = Math.max(range.to, id)
  }
  return range
}

interface Link {
  package: number
  matches: number
}

async function readLinks(db: Database, org: number, artifact: number): Promise<Link[]> {
  const links: Link[] = []
  for (let after = 0; ; ) {
    const page = await db.all<Link>(statement(LINKS, org, artifact, after, LINKS_A_PAGE))
    for (const link of page) links.push(link)
    if (page.length < LINKS_A_PAGE) return links
    after = page.at(-1)!.package
  }
}

function tableOf(
  given: { listed: Float64Array; holders: Int32Array; weights: Uint32Array },
  links: readonly Link[],
): Pick<PackageTable, 'ids' | 'holders' | 'linked' | 'weights'> {
  const all = Float64Array.from([
    ...links.map((link) => link.package),
    ...given.listed.filter((id) => id > 0),
  ])
  const ids = all.sort().filter((id, position) => id !== all[position - 1])
  const holders = new Int32Array(ids.length).fill(-1)
  const linked = new Uint8Array(ids.length)
  const weights = new Uint32Array(ids.length)
  for (const link of links) {
    const position = positionOf(ids, link.package)
    linked[position] = 1
    weights[position] = 1 + link.matches
  }
  for (const [index, id] of given.listed.entries()) {
    if (id === 0) continue
    const position = positionOf(ids, id)
    holders[position] = given.holders[index]!
    weights[position]! += given.weights[index]!
  }
  return { ids, holders, linked, weights }
}

/** Position of an id that is there. */
function positionOf(ids: Float64Array, id: number): number {
  let low = 0
  let high = ids.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (ids[middle]! < id) low = middle + 1
    else high = middle
  }
  return low
}
