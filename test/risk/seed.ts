import { type Database, type Statement, statement } from '../../src/db/database.ts'

/** Rows of an organization's inventory and findings, and what should be read back from them. */
export interface SeedImage {
  id: string
  registry: string
  repository: string
  name: string
  tags: { id: string; name: string; artifact: number; movedAt: number }[]
}
export interface SeedArtifact {
  id: number
  image: SeedImage
  digest: string
  ran: number
  builtAt: number
  links: Map<number, number>
}
export interface SeedPackage {
  id: number
  name: string
  version: string
}
export interface SeedMatch {
  id: number
  package: SeedPackage
  vulnerability: string
  severity: number
  cvss: number | null
  fixedVersion: string | null
  engines: number
  status: number
  seenAt: number
  firstAt: number
}
export interface SeedWorld {
  org: number
  registries: { id: string; num: number; host: string }[]
  images: SeedImage[]
  artifacts: SeedArtifact[]
  packages: SeedPackage[]
  matches: SeedMatch[]
  /** `match artifact` to the engines that stay silent there. */
  silent: Map<string, number>
}

export interface SeedSize {
  images: number
  artifactsPerImage: number
  basePackages: number
  ownPackages: number
  bases: number
  matchesPerPackage: number
  /** Every artifact ran trivy and grype, and one finding in 300 is excluded; else engines are mixed. */
  usual?: boolean
}

export const DAY = 24 * 60 * 60 * 1000
export const SEED_TIME = Date.UTC(2026, 8, 1)

/** A random source that gives the same numbers for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const pick = <T>(next: () => number, weighted: readonly (readonly [T, number])[]): T => {
  let rest = next() * weighted.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [value, weight] of weighted) {
    rest -= weight
    if (rest < 0) return value
  }
  return weighted.at(-1)![0]
}

const SEVERITY_MIX = [
  [4, 2],
  [3, 15],
  [2, 45],
  [1, 30],
  [0, 8],
] as const
const ENGINE_MIX = [
  [3, 70],
  [1, 14],
  [2, 14],
  [4, 1],
  [7, 1],
] as const
const RAN_MIX = [
  [3, 94],
  [7, 4],
  [1, 1],
  [2, 1],
] as const

/** An organization whose images share base packages, some engines and verdicts missing here and there. */
export function aWorld(org: number, size: SeedSize, seed = org): SeedWorld {
  const next = random(seed)
  const base = org * 10_000_000
  const id = (kind: string, number: number) => `${kind}_${org}x${number.toString().padStart(6, '0')}`
  const registries = [0, 1].map((n) => ({ id: id('reg', n), num: base + n, host: `r${n}.example.com` }))
  const packages: SeedPackage[] = []
  const newPackages = (count: number, name: string) =>
    Array.from({ length: count }, () => {
      const number = packages.length
      const made = { id: base + number, name: `${name}${number % 701}`, version: `${number}.0` }
      packages.push(made)
      return made
    })
  const bases = Array.from({ length: size.bases }, () => newPackages(size.basePackages, 'lib'))
  const images: SeedImage[] = []
  const artifacts: SeedArtifact[] = []
  for (let n = 0; n < size.images; n++) {
    const registry = registries[next() < 0.7 ? 0 : 1]!
    const repository = `team${n % 7}/app-${n}`
    const image: SeedImage = {
      id: id('img', n),
      registry: registry.id,
      repository,
      name: `${registry.host}/${repository}`,
      tags: [],
    }
    images.push(image)
    const held = [...bases[n % size.bases]!, ...newPackages(size.ownPackages, 'own-')]
    for (let k = 0; k < size.artifactsPerImage; k++) {
      const since = SEED_TIME + Math.floor(next() * 60) * DAY
      const artifact: SeedArtifact = {
        id: base + artifacts.length,
        image,
        digest: `sha256:${(base + artifacts.length).toString(16).padStart(64, '0')}`,
        ran: size.usual ? 3 : pick(next, RAN_MIX),
        builtAt: SEED_TIME + 30 * DAY,
        links: new Map(held.filter(() => next() < 0.97).map((p) => [p.id, since])),
      }
      artifacts.push(artifact)
      image.tags.push({
        id: id('tag', artifacts.length),
        name: `v${k}`,
        artifact: artifact.id,
        movedAt: since,
      })
    }
  }
  const matches = someMatches(next, packages, size)
  const silent = new Map<string, number>()
  const ofPackage = Map.groupBy(matches, (match) => match.package.id)
  for (const artifact of artifacts)
    for (const packageId of artifact.links.keys())
      for (const match of ofPackage.get(packageId) ?? [])
        if (next() < (size.usual ? 1 / 300 : 0.01))
          silent.set(`${match.id} ${artifact.id}`, next() < 0.5 ? match.engines : match.engines & 1 || 2)
  const world = { org, registries, images, artifacts, packages, matches, silent }
  return size.usual ? withoutHidden(world) : world
}

/** Without the matches that no artifact shows: the rule withdraws them. */
function withoutHidden(world: SeedWorld): SeedWorld {
  const shown = shownOf(world)
  const kept = new Set([...shown].map(({ id }) => String(id)))
  return {
    ...world,
    matches: world.matches.filter((match) => shown.has(match)),
    silent: new Map([...world.silent].filter(([key]) => kept.has(key.split(' ')[0]!))),
  }
}

const shownOf = (world: SeedWorld): Set<SeedMatch> =>
  new Set([...findingsOf(world).values()].flat().map(({ match }) => match))

function someMatches(next: () => number, packages: SeedPackage[], size: SeedSize): SeedMatch[] {
  const each = size.matchesPerPackage
  const matches: SeedMatch[] = []
  for (const of of packages) {
    const names = new Set<string>()
    const count = Math.floor(next() * each * 2 + 0.5)
    while (names.size < count)
      names.add(`CVE-${2015 + Math.floor(next() * 10)}-${10_000 + Math.floor(next() * 5000)}`)
    for (const vulnerability of names) {
      const severity = pick(next, SEVERITY_MIX)
      matches.push({
        id: Math.floor(next() * 2 ** 31) * 2 ** 21 + matches.length,
        package: of,
        vulnerability,
        severity,
        cvss: next() < 0.1 ? null : Math.min(100, severity * 22 + Math.floor(next() * 20)),
        fixedVersion: next() < 0.6 ? `${of.version}.1` : null,
        engines: pick(next, size.usual ? ENGINE_MIX.slice(0, 3) : ENGINE_MIX),
        status: next() < 0.03 ? 1 + Math.floor(next() * 4) : 0,
        seenAt: SEED_TIME + Math.floor(next() * 80) * DAY,
        firstAt: SEED_TIME + Math.floor(next() * 40) * DAY,
      })
    }
  }
  return matches
}

/** Writes a world's rows. */
export async function plant(db: Database, world: SeedWorld): Promise<void> {
  const { org } = world
  const holders = new Map<number, number>()
  for (const artifact of world.artifacts)
    for (const id of artifact.links.keys()) holders.set(id, (holders.get(id) ?? 0) + 1)
  const counts = countsOf(world)
  await insert(
    db,
    'registries (id, num, org, name, provider, url, host, path_prefix, insecure, scan_method, scanners, schedule, status, created_at, updated_at)',
    world.registries.map((r) => [
      r.id,
      r.num,
      org,
      r.host,
      'CUSTOM',
      `https://${r.host}`,
      r.host,
      '',
      0,
      'cloud',
      '[]',
      'manual',
      'ACTIVE',
      0,
      0,
    ]),
  )
  await insert(
    db,
    'images (id, org, registry_id, repository, name, tag_count, latest_tag, latest_digest, latest_artifact, critical, high, medium, low, unknown, grade, risk, last_scanned_at, created_at)',
    world.images.map((i, n) => {
      const latest = i.tags.at(-1)
      const artifact = world.artifacts.find((a) => a.id === latest?.artifact)
      const [unknown, low, medium, high, critical] = counts.get(latest?.artifact ?? -1) ?? []
      const scored = artifact
        ? [critical, high, medium, low, unknown, critical ? 'D' : 'C', Math.min(100, high ?? 0), SEED_TIME]
        : Array(8).fill(null)
      return [
        i.id,
        org,
        i.registry,
        i.repository,
        i.name,
        i.tags.length,
        latest?.name ?? null,
        artifact?.digest ?? null,
        artifact?.id ?? null,
        ...scored,
        SEED_TIME + n,
      ]
    }),
  )
  await insert(
    db,
    'tags (id, org, image_id, name, digest, artifact, created_at, moved_at)',
    world.images.flatMap((i) =>
      i.tags.map((t) => [
        t.id,
        org,
        i.id,
        t.name,
        world.artifacts.find((a) => a.id === t.artifact)!.digest,
        t.artifact,
        t.movedAt,
        t.movedAt,
      ]),
    ),
  )
  await insert(
    db,
    'tag_artifacts (org, tag_id, artifact)',
    world.images.flatMap((i) => i.tags.map((t) => [org, t.id, t.artifact])),
  )
  await insert(
    db,
    'artifacts (id, org, image_id, image_name, registry_num, digest, platform, layers, live, trivy_build, grype_build, osv_build, ran, packages, critical, high, medium, low, unknown, grade, risk, seen_at, scanned_at)',
    world.artifacts.map((a) => {
      const [unknown, low, medium, high, critical] = counts.get(a.id)!
      const build = (bit: number) => (a.ran & bit ? a.builtAt : null)
      const registry = world.registries.find((r) => r.id === a.image.registry)!.num
      return [
        a.id,
        org,
        a.image.id,
        a.image.name,
        registry,
        a.digest,
        'linux/amd64',
        '[]',
        1,
        build(1),
        build(2),
        build(4),
        a.ran,
        a.links.size,
        critical,
        high,
        medium,
        low,
        unknown,
        critical ? 'D' : 'C',
        Math.min(100, high!),
        SEED_TIME,
        SEED_TIME,
      ]
    }),
  )
  await insert(
    db,
    'packages (id, org, name, version, type, context, holders)',
    world.packages.map((p) => [
      p.id,
      org,
      p.name,
      p.version,
      'npm',
      '[null,null,null,null,null,null]',
      holders.get(p.id) ?? 0,
    ]),
  )
  await insert(
    db,
    'artifact_packages (org, artifact, package, registry, since)',
    world.artifacts.flatMap((a) => {
      const registry = world.registries.find((r) => r.id === a.image.registry)!.num
      return [...a.links].map(([id, since]) => [org, a.id, id, registry, since])
    }),
  )
  await insert(
    db,
    'matches (id, org, package, vulnerability, name, version, severity, cvss, cvss_vector, fixed_version, said, trivy_first, grype_first, osv_first, engines, status, seen_at)',
    world.matches.map((m) => {
      const first = (bit: number) => (m.engines & bit ? m.firstAt : null)
      return [
        m.id,
        org,
        m.package.id,
        m.vulnerability,
        m.package.name,
        m.package.version,
        m.severity,
        m.cvss,
        null,
        m.fixedVersion,
        saidOf(m),
        first(1),
        first(2),
        first(4),
        m.engines,
        m.status,
        m.seenAt,
      ]
    }),
  )
  const totals = [0, 1, 2, 3, 4].map((level) => world.matches.filter((m) => m.severity === level).length)
  const hidden = shownOf(world).size < world.matches.length
  await insert(db, 'ingest_state (org, seq, unknown, low, medium, high, critical, unfinished)', [
    [org, 1, ...totals, hidden ? '["seed"]' : null],
  ])
  const advisories = new Set(world.matches.map((m) => m.vulnerability))
  await insert(
    db,
    'vulnerabilities (org, id, aliases, links, cwes, digest, engines)',
    [...advisories].map((v) => [org, v, JSON.stringify([`GHSA-${v.slice(-5)}`]), '[]', '[]', '', 3]),
  )
  await insert(
    db,
    'overrides (org, match, artifact, silent)',
    [...world.silent].map(([key, bits]) => [org, ...key.split(' ').map(Number), bits]),
  )
}

const SEVERITY_NAMES = ['UNKNOWN', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL']
const ENGINE_BITS = { trivy: 1, grype: 2, osv: 4 }

const saidOf = (match: SeedMatch) =>
  JSON.stringify(
    Object.fromEntries(
      Object.entries(ENGINE_BITS).flatMap(([engine, bit]) =>
        match.engines & bit
          ? [
              [
                engine,
                {
                  severity: SEVERITY_NAMES[match.severity],
                  cvss: match.cvss === null ? null : match.cvss / 10,
                  vector: null,
                  cvssSource: null,
                  cvssVersion: null,
                  fixState: match.fixedVersion ? 'fixed' : 'unknown',
                  fixedVersions: match.fixedVersion ? [match.fixedVersion] : [],
                },
              ],
            ]
          : [],
      ),
    ),
  )

async function insert(db: Database, into: string, rows: unknown[][]): Promise<void> {
  const columns = into.split(',').map((_, index) => `value ->> ${index}`)
  const statements: Statement[] = []
  for (let from = 0; from < rows.length; from += 5000) {
    const sql = `INSERT INTO ${into} SELECT ${columns.join(', ')} FROM json_each(?)`
    statements.push(statement(sql, JSON.stringify(rows.slice(from, from + 5000))))
  }
  await db.batch(statements)
}

/** Engines (bits) that find a match in an artifact. */
export const bitsOf = (world: SeedWorld, match: SeedMatch, artifact: SeedArtifact): number =>
  artifact.links.has(match.package.id)
    ? match.engines & artifact.ran & ~(world.silent.get(`${match.id} ${artifact.id}`) ?? 0)
    : 0

/** Every finding that shows, by artifact. */
export function findingsOf(world: SeedWorld): Map<SeedArtifact, { match: SeedMatch; bits: number }[]> {
  const ofPackage = Map.groupBy(world.matches, (match) => match.package.id)
  return new Map(
    world.artifacts.map((artifact) => {
      const candidates = [...artifact.links.keys()].flatMap((id) => ofPackage.get(id) ?? [])
      return [
        artifact,
        candidates
          .map((match) => ({ match, bits: bitsOf(world, match, artifact) }))
          .filter(({ bits }) => bits !== 0),
      ]
    }),
  )
}

/** Findings by severity, UNKNOWN first, by artifact id. */
function countsOf(world: SeedWorld): Map<number, number[]> {
  const counts = new Map<number, number[]>()
  for (const [artifact, findings] of findingsOf(world)) {
    const each = [0, 0, 0, 0, 0]
    for (const { match } of findings) each[match.severity]!++
    counts.set(artifact.id, each)
  }
  return counts
}
