import type {
  EngineName,
  FindingEngine,
  Result,
  ResultFinding,
  ResultPackage,
  ResultVulnerability,
  Severity,
} from '../../src/scanning/sensors/result.ts'

export interface ResultShape {
  /** Number of package versions listed. */
  packages?: number
  /** Number of (package, vulnerability) pairs found by at least one engine. */
  findings?: number
  /** Results of one seed agree about the packages that they share. */
  seed?: number
  /** Index of the first package: ranges that overlap share packages, as images share a base. */
  from?: number
  /** When every engine's database was built, milliseconds. */
  build?: number
  engines?: readonly EngineName[]
  failed?: readonly EngineName[]
  /** Leaves findings out, by number from 0. */
  without?: (finding: number) => boolean
  digest?: string
  fence?: number
  jobId?: string
}

export const DAY = 24 * 60 * 60 * 1000
export const BUILT = Date.UTC(2026, 10, 20, 6)

/** A whole number below 2^32 that depends on all arguments alike. */
export function mixed(...numbers: number[]): number {
  let hash = 0x9e3779b9
  for (const number of numbers) {
    hash = Math.imul(hash ^ number, 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    hash ^= hash >>> 16
  }
  return hash >>> 0
}

/** A realistic result: Debian, npm, PyPI and Go packages; severities 2/15/45/30/8 %; 70 % found by both engines. */
export function aResult(shape: ResultShape = {}): Result {
  const { packages = 300, findings = 150, seed = 1, from = 0, build = BUILT } = shape
  const engines = shape.engines ?? (['trivy', 'grype', 'syft'] as const)
  const failed = shape.failed ?? []
  const working = engines.filter((engine) => !failed.includes(engine))
  const vulnerabilities: ResultVulnerability[] = []
  const known = new Map<string, number>()
  const list: ResultFinding[] = []
  for (let number = 0; number < findings; number++) {
    if (shape.without?.(number)) continue
    const position = number % packages
    const random = mixed(seed, from + position, Math.floor(number / packages))
    const id = `CVE-${2015 + (random % 11)}-${10_000 + (random % 89_999)}`
    if (!known.has(id)) known.set(id, vulnerabilities.push(aVulnerability(id, random)) - 1)
    for (const engine of findersOf(random, engines)) {
      if (failed.includes(engine)) continue
      list.push(aFinding(engine, position, known.get(id)!, id, random))
    }
  }
  return {
    version: '1.1',
    fence: shape.fence ?? 1,
    sensor: { name: 'test', version: '1.0.0', scannerVersions: {} },
    image: anImage(shape.digest),
    scan: {
      id: shape.jobId ?? 'job',
      startedAt: new Date(build).toISOString(),
      finishedAt: new Date(build).toISOString(),
      status: failed.length === 0 ? 'SUCCESS' : working.length === 0 ? 'FAILED' : 'PARTIAL',
      reason: null,
    },
    engines: engines.map((name) => anEngineRun(name, failed.includes(name), build)),
    sboms: [],
    packages: Array.from({ length: packages }, (_, position) =>
      aPackage(
        mixed(seed, from + position),
        from + position,
        engines.filter((e) => e !== 'osv'),
      ),
    ),
    vulnerabilities,
    findings: list,
    logs: [],
  }
}

function findersOf(random: number, engines: readonly EngineName[]): FindingEngine[] {
  const dice = (random >>> 8) % 100
  const finders = dice < 70 ? ['trivy', 'grype'] : dice < 84 ? ['trivy'] : dice < 98 ? ['grype'] : ['osv']
  const present = finders.filter((engine) => engines.includes(engine as EngineName))
  const any = engines.filter((engine) => ['trivy', 'grype', 'osv'].includes(engine))
  return (present.length > 0 ? present : any.slice(0, 1)) as FindingEngine[]
}

function severityOf(random: number): Severity {
  const dice = (random >>> 4) % 100
  return dice < 2 ? 'CRITICAL' : dice < 17 ? 'HIGH' : dice < 62 ? 'MEDIUM' : dice < 92 ? 'LOW' : 'UNKNOWN'
}

const TYPES = ['deb', 'deb', 'deb', 'npm', 'pypi', 'golang'] as const

function aPackage(random: number, index: number, listedBy: readonly EngineName[]): ResultPackage {
  const type = TYPES[random % TYPES.length]!
  const os = type === 'deb'
  return {
    type,
    namespace: os ? 'debian' : type === 'golang' ? 'example.org/module' : null,
    name: `package-${index}`,
    version: `${random % 9}.${(random >>> 4) % 20}.${(random >>> 8) % 10}${os ? '-1+deb12u1' : ''}`,
    distro: os ? 'debian-12' : null,
    source: os && random % 3 === 0 ? { name: `source-${index}`, version: `${random % 9}.0-1` } : null,
    module: null,
    owner: null,
    licenses: ['MIT'],
    listedBy: [...listedBy],
    locations: [{ path: `/usr/share/package-${index}/metadata`, layer: layerOf(random % 5) }],
  }
}

const layerOf = (index: number) => `sha256:${String(index + 1).repeat(64)}`

function aVulnerability(id: string, random: number): ResultVulnerability {
  return {
    id,
    aliases: [`GHSA-${random.toString(36)}`],
    title: `A flaw in the parser (${id})`,
    description: `A crafted input makes the parser read beyond its buffer. ${'More about it. '.repeat(random % 40)}`,
    links: [`https://example.org/advisories/${id}`],
    cwes: ['CWE-125'],
    publishedAt: '2026-01-05T00:00:00Z',
    modifiedAt: null,
  }
}

function aFinding(
  engine: FindingEngine,
  position: number,
  vulnerability: number,
  id: string,
  random: number,
): ResultFinding {
  const score = ((random >>> 3) % 90) / 10 + 1
  const fixed = random % 3 !== 0
  return {
    engine,
    package: position,
    vulnerability,
    reportedId: id,
    severity: severityOf(random),
    cvss:
      random % 10 === 0
        ? []
        : [{ source: 'nvd', version: '3.1', vector: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H', score }],
    fixState: fixed ? 'fixed' : 'not-fixed',
    fixedVersions: fixed ? [`${10 + (random % 5)}.0.1`] : [],
  }
}

function anEngineRun(name: EngineName, failed: boolean, build: number): Result['engines'][number] {
  const feeds = ['trivy', 'grype', 'osv'].includes(name)
  return {
    name,
    version: '1.0.0',
    sha256: null,
    status: failed ? 'failed' : 'succeeded',
    durationMs: 1000,
    reason: failed ? { code: 'engine_failed', message: 'The engine ended with an error.' } : null,
    database:
      feeds && !failed ? { builtAt: new Date(build).toISOString(), schema: '6', source: 'official' } : null,
    raw: null,
  }
}

const anImage = (digest = `sha256:${'a'.repeat(64)}`): Result['image'] => ({
  ref: 'registry.example.org/team/app:1.0',
  indexDigest: null,
  digest,
  platform: 'linux/amd64',
  configDigest: null,
  sizeBytes: 50_000_000,
  os: { family: 'debian', name: 'Debian GNU/Linux 12', endOfLife: false },
  layers: Array.from({ length: 5 }, (_, index) => ({
    digest: `sha256:${(index + 5).toString(16).repeat(64)}`,
    diffId: layerOf(index),
    sizeBytes: 10_000_000,
    command: 'COPY . /',
  })),
})
