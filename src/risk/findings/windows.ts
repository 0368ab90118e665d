import type { Context } from '../../context.ts'
import { statement } from '../../db/database.ts'
import { jsonChunks } from '../../db/json-chunks.ts'
import type { ReadList, ResultSource } from '../../scanning/results/index.ts'
import type { Acceptance } from './accept.ts'
import type { Changes } from './changes.ts'
import {
  FindingSet,
  type Incoming,
  type IncomingVulnerability,
  incomingVulnerability,
  PackageSet,
} from './incoming.ts'
import type { BatchLimits } from './limits.ts'
import { idsBetween, type PackageTable, readPackages, type SliceRange } from './package-table.ts'
import { decide, type Range } from './part.ts'
import { afterwards, changedTexts } from './plan.ts'
import { batched, type FindingsState, MATCH, matchOf, readTexts, type StateHead } from './state.ts'
import { type Survey, surveyFindings } from './survey.ts'

/** Packages that are decided about together, by their positions in the table. */
interface Window extends Range {
  first: number
  end: number
}

interface Large {
  ctx: Context
  head: StateHead
  result: ResultSource
  acceptance: Acceptance
  table: PackageTable
  findingSlices: SliceRange[]
  /** Ids of advisories by index. */
  advisories: string[]
}

const TEXTS_AT_ONCE = 1000

/**
 * Decides about a result of any size in bounded memory: what there is of its packages is learned in numbers, then
 * they are looked at in windows of package ids, each with its part of the result, read again, and of the
 * state. Every rule of findings is about one package or one advisory, so that windows add up to the whole.
 */
export async function decideInWindows(
  ctx: Context,
  head: StateHead,
  result: ResultSource,
  acceptance: Acceptance,
  changes: Changes,
  limits: BatchLimits,
): Promise<void> {
  const survey = await surveyFindings(result, acceptance)
  const org = ctx.organization.num
  const table = await readPackages(ctx.db, org, head.artifact.id, result, survey, acceptance)
  const findingSlices = survey.slices.map(({ first, last }) => ({
    start: 0,
    ...idsBetween(table.listed, first, last),
  }))
  const advisories = await addTexts(ctx, head, result, survey, acceptance, changes)
  const large: Large = { ctx, head, result, acceptance, table, findingSlices, advisories }
  for (const window of windowsOf(table, limits.window)) {
    const incoming = await incomingOfWindow(large, window)
    const state = await stateOfWindow(large, window, incoming.ids)
    await changes.add(await decide(ctx, state, incoming.words, acceptance.builds, result.head.image, window))
  }
}

/** At least one, so that an artifact without packages is decided about too. */
function windowsOf({ ids, weights }: PackageTable, limit: number): Window[] {
  const windows: Window[] = []
  let first = 0
  let weight = 0
  for (let position = 0; position <= ids.length; position++) {
    const isLast = position === ids.length
    if (isLast || (weight > 0 && weight + weights[position]! > limit)) {
      windows.push({ first, end: position, from: ids[first] ?? 0, to: ids[position - 1] ?? 0 })
      first = position
      weight = 0
    }
    weight += weights[position] ?? 0
  }
  return windows
}

/** New and changed advisory texts. Returns the ids of all, by index. */
async function addTexts(
  ctx: Context,
  head: StateHead,
  result: ResultSource,
  survey: Survey,
  { builds }: Acceptance,
  changes: Changes,
): Promise<string[]> {
  const ids: string[] = []
  for await (const slice of result.vulnerabilities()) for (const { id } of slice) ids.push(id)
  const left = new Map<string, number>()
  for (const [index, id] of ids.entries()) {
    const engines = survey.engines[index]!
    if (engines !== 0) left.set(id, (left.get(id) ?? 0) | engines)
  }
  let group: IncomingVulnerability[] = []
  const flush = async () => {
    const known = await readTexts(ctx.db, ctx.organization.num, group)
    await changes.addTexts(changedTexts(group, known, builds, afterwards(head, builds).newest))
    group = []
  }
  for await (const slice of result.vulnerabilities()) {
    for (const text of slice) {
      const engines = left.get(text.id)
      if (engines !== undefined && left.delete(text.id)) group.push(incomingVulnerability(text, engines))
    }
    if (group.length >= TEXTS_AT_ONCE) await flush()
  }
  await flush()
  return ids
}

const overlaps = (a: Range, b: Range) => a.from <= b.to && b.from <= a.to

/** Elements of the slices that reach into a window, with their indexes (from `start` of the slice on). */
async function* within<T>(
  read: ReadList<T>,
  slices: readonly SliceRange[],
  window: Range,
): AsyncGenerator<[number, T]> {
  const wanted = slices.filter((slice) => overlaps(slice, window))
  let next = 0
  for await (const elements of read((number) => overlaps(slices[number]!, window))) {
    let index = wanted[next++]!.start
    for (const element of elements) yield [index++, element]
  }
}

/** What the result says of a window's packages, and their ids. */
async function incomingOfWindow(
  { result, acceptance, table, findingSlices, advisories }: Large,
  window: Window,
): Promise<{ words: Incoming; ids: Map<string, number> }> {
  const isInside = (id: number) => id >= window.from && id <= window.to && id !== 0
  const packages = new PackageSet()
  const ids = new Map<string, number>()
  const indexes = new Map<number, number>()
  for await (const [index, listed] of within(result.packages, table.packageSlices, window)) {
    const id = table.listed[index]!
    if (!isInside(id)) continue
    const at = packages.add(listed)
    ids.set(packages.all[at]!.key, id)
    indexes.set(id, at)
  }
  const findings = new FindingSet()
  for await (const [, finding] of within(result.findings, findingSlices, window)) {
    const id = table.listed[finding.package]!
    if (acceptance.builds[finding.engine] === undefined || !isInside(id)) continue
    findings.add(finding, indexes.get(id)!, advisories[finding.vulnerability]!)
  }
  return { words: { packages: packages.all, findings: findings.all(), vulnerabilities: [] }, ids }
}

const LINKED = `SELECT page.package, coalesce(v.silent, 0) AS silent, ${MATCH}
  FROM (SELECT org, artifact, package FROM artifact_packages
    WHERE org = ?1 AND artifact = ?2 AND package BETWEEN ?3 AND ?4) page
  CROSS JOIN matches m INDEXED BY matches_key ON m.org = page.org AND m.package = page.package
  LEFT JOIN overrides v ON v.org = page.org AND v.match = m.id AND v.artifact = page.artifact`

const NEW = `SELECT m.package, ${MATCH} FROM json_each(?2) j
  CROSS JOIN matches m INDEXED BY matches_key ON m.org = ?1 AND m.package = j.value`

/** What the organization knows about a window's packages. */
async function stateOfWindow(
  { ctx, head, table }: Large,
  { first, end, from, to }: Window,
  packageIds: Map<string, number>,
): Promise<FindingsState> {
  const org = ctx.organization.num
  const linked = new Set<number>()
  const holders = new Map<number, number>()
  const fresh: number[] = []
  for (let position = first; position < end; position++) {
    const id = table.ids[position]!
    if (table.linked[position]) linked.add(id)
    else fresh.push(id)
    if (table.holders[position]! >= 0) holders.set(id, table.holders[position]!)
  }
  const [known, others] = await batched(ctx.db, [
    linked.size > 0 ? [statement(LINKED, org, head.artifact.id, from, to)] : [],
    jsonChunks(fresh).map(({ json }) => statement(NEW, org, json)),
  ])
  return {
    ...head,
    packageIds,
    holders,
    linked,
    matches: [
      ...known!.flat().map((row) => matchOf(row, true)),
      ...others!.flat().map((row) => matchOf(row, false)),
    ],
    vulnerabilities: new Map(),
  }
}
