import {
  FINDING_ENGINES,
  type FindingEngine,
  type Result,
  SEVERITIES,
} from '../../../src/scanning/sensors/result.ts'
import { BUILT, DAY, mixed } from '../results.ts'
import type { Printed, WorldScan } from './model.ts'

/** A stream of whole numbers from a seed. */
export function dice(seed: number) {
  let state = seed
  const next = () => {
    state = (state + 1) >>> 0
    return mixed(seed, state)
  }
  return {
    below: (limit: number) => next() % limit,
    chance: (percent: number) => next() % 100 < percent,
    pick: <T>(list: readonly T[]): T => list[next() % list.length]!,
  }
}

export type Dice = ReturnType<typeof dice>

export interface World {
  seed: number
  artifacts: string[]
  packages: number
  vulnerabilities: number
  /** The newest database there is; grows. In days after BUILT. */
  day: number
  /** Percent of verdicts that a scan gets wrong once, and of severities. */
  noise: number
}

export const buildOf = (day: number) => BUILT + day * DAY
const hash = (text: string) => mixed(...Array.from(text, (character) => character.charCodeAt(0)))

/** Packages of an artifact: two of three of the pool. */
export const packagesOf = (world: World, artifact: string): string[] =>
  Array.from({ length: world.packages }, (_, index) => `package-${index}`).filter(
    (name) => mixed(world.seed, hash(artifact), hash(name)) % 3 !== 0,
  )

/** What an engine with that day's database prints about an artifact: verdicts come and go, and some depend on the artifact. */
export function printedBy(
  world: World,
  engine: FindingEngine,
  artifact: string,
  day: number,
  random: Dice,
): Printed {
  const printed: Printed = new Map()
  for (const name of packagesOf(world, artifact)) {
    for (let index = 0; index < world.vulnerabilities; index++) {
      const id = `CVE-2026-${1000 + index}`
      const about = mixed(world.seed, hash(engine), hash(name), index)
      const known = (about + Math.floor((day + (about % 7)) / 5) * 7919) % 5 < 2
      const silent = mixed(about, hash(artifact)) % 100 < 15
      if ((known && !silent) === random.below(100) < world.noise) continue
      const epoch = mixed(about, Math.floor((day + (about % 3)) / 3))
      const severity = random.below(100) < world.noise ? random.below(5) : epoch % 5
      printed.set(`${name} ${id}`, { severity, cvss: epoch % 4 === 0 ? null : epoch % 101 })
    }
  }
  return printed
}

/** One random scan: engines missing, failed, with older databases or clocks ahead; packages listed late. */
export function randomScan(world: World, random: Dice, tick: number): WorldScan {
  const artifact = random.pick(world.artifacts)
  const now = buildOf(world.day) + tick
  const engines: WorldScan['engines'] = {}
  for (const engine of FINDING_ENGINES) {
    if (random.chance(engine === 'osv' ? 50 : 15)) continue
    const day = random.chance(3)
      ? world.day + 3
      : Math.max(0, world.day - (random.chance(35) ? random.below(4) : 0))
    engines[engine] = {
      build: random.chance(15) ? null : buildOf(day),
      failed: random.chance(10),
      printed: printedBy(world, engine, artifact, day, random),
    }
  }
  const listed = random.chance(30) ? null : packagesOf(world, artifact).filter(() => !random.chance(15))
  return { artifact, at: now - random.below(3), now, listed, engines }
}

/** The envelope that a runner would send for it. */
export function resultOf(scan: WorldScan): Result {
  const packages: Result['packages'] = []
  const positions = new Map<string, number>()
  const list = (name: string, by: 'syft' | FindingEngine) => {
    const known = positions.get(name)
    if (known !== undefined) packages[known]!.listedBy.push(by)
    else positions.set(name, packages.push(aListed(name, by)) - 1)
    return positions.get(name)!
  }
  for (const name of scan.listed ?? []) list(name, 'syft')
  const ids = new Map<string, number>()
  const findings: Result['findings'] = []
  for (const engine of FINDING_ENGINES) {
    for (const [key, { severity, cvss }] of scan.engines[engine]?.printed ?? []) {
      const [name, id] = key.split(' ') as [string, string]
      if (!ids.has(id)) ids.set(id, ids.size)
      findings.push({
        engine,
        package: list(name, engine),
        vulnerability: ids.get(id)!,
        reportedId: id,
        severity: SEVERITIES[severity]!,
        cvss:
          cvss === null
            ? []
            : [{ source: 'nvd', version: '3.1', vector: `CVSS:3.1/${cvss}`, score: cvss / 10 }],
        fixState: 'unknown',
        fixedVersions: [],
      })
    }
  }
  return {
    ...ENVELOPE,
    engines: [
      ...FINDING_ENGINES.flatMap((name) => {
        const run = scan.engines[name]
        return run ? [anEngine(name, run.failed, run.build)] : []
      }),
      anEngine('syft', scan.listed === null, null),
    ],
    packages,
    vulnerabilities: [...ids.keys()].map((id) => ({ id, ...TEXT })),
    findings,
  }
}

const ENVELOPE = {
  version: '1.1' as const,
  fence: 1,
  sensor: { name: null, version: '1', scannerVersions: {} },
  image: null,
  scan: { id: 'job', startedAt: '', finishedAt: '', status: 'SUCCESS' as const, reason: null },
  sboms: [],
  logs: [],
}

const TEXT = {
  aliases: [],
  title: null,
  description: null,
  links: [],
  cwes: [],
  publishedAt: null,
  modifiedAt: null,
}

const aListed = (name: string, by: 'syft' | FindingEngine): Result['packages'][number] => ({
  type: 'npm',
  namespace: null,
  name,
  version: '1.0.0',
  distro: null,
  source: null,
  module: null,
  owner: null,
  licenses: [],
  listedBy: [by],
  locations: [{ path: `/srv/${name}`, layer: null }],
})

const anEngine = (name: Result['engines'][number]['name'], failed: boolean, build: number | null) => ({
  name,
  version: '1',
  sha256: null,
  status: failed ? ('failed' as const) : ('succeeded' as const),
  durationMs: 1,
  reason: null,
  database:
    build === null
      ? null
      : { builtAt: new Date(build).toISOString(), schema: null, source: 'official' as const },
  raw: null,
})
