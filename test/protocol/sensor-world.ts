import { env } from 'cloudflare:workers'
import { expect } from 'vitest'
import { statement } from '../../src/db/database.ts'
import { directoryDb, newMeter } from '../../src/db/shards.ts'
import type { Env } from '../../src/env.ts'
import { expireLeases } from '../../src/scanning/sensors/expire-leases.ts'
import { deliver } from '../scanning/deliver.ts'
import { connected, dispatched } from '../scanning/over-http.ts'
import { anOrganization, type Caller, caller, type TestOrganization } from '../world.ts'
import type { GoEngineRun } from './go-envelope.ts'
import { GoSensor, type GoSensorOptions } from './go-sensor.ts'

/** An organization with a registry that a sensor scans, and the key of that sensor. */
export interface SensorWorld {
  ours: TestOrganization
  host: string
  registryId: string
  key: string
  /** The sensor's key as a plain client. */
  wire: Caller
  sensor(options?: Partial<GoSensorOptions>): GoSensor
  /** Asks for a scan and makes its job claimable. Returns the scan's id. */
  scan(image?: string): Promise<string>
  job(scanId: string): Promise<JobRow>
  change(sql: string, ...params: (string | number | null)[]): Promise<void>
  /** Has the uploaded result ingested, and reads the scan. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read bodies without knowing their shape
  ended(scanId: string): Promise<Record<string, any>>
  /** What the sweep does with leases that have run out by then. */
  sweep(now?: number): Promise<void>
}

export interface JobRow {
  id: string
  state: string
  fence: number
  leases: number
  agent_id: string | null
  lease_until: number | null
  receiving_until: number | null
  result_key: string | null
  unfenced: number
}

export async function aSensorWorld(): Promise<SensorWorld> {
  const ours = await anOrganization()
  const { host, id: registryId, sensorApiKey: key } = await connected(ours, 'open', { scanMethod: 'sensor' })
  expect(key).toBeDefined()
  const change: SensorWorld['change'] = async (sql, ...params) => {
    await ours.db.run(statement(sql, ...params))
  }
  return {
    ours,
    host,
    registryId,
    key: key!,
    wire: caller(key!),
    sensor: (options = {}) => new GoSensor({ key: key!, engines: () => twoEngines, ...options }),
    scan: (image = 'team/app:1.0') => dispatched(ours, `${host}/${image}`),
    job: async (scanId) =>
      (await ours.db.first<JobRow>(statement('SELECT * FROM jobs WHERE id = ?', scanId)))!,
    change,
    ended: async (scanId) => {
      await deliver({ kind: 'scan.ingest', org: ours.organization.num, scanId })
      return (await ours.get(`/api/scans/${scanId}`)).body.data
    },
    sweep: async (now = Date.now()) => {
      await expireLeases(ours.db, now, 100)
    },
  }
}

/** A sensor that is registered and warm. */
export async function aWarmSensor(world: SensorWorld, options: Partial<GoSensorOptions> = {}) {
  const sensor = world.sensor(options)
  expect(await sensor.register(), sensor.errors.join()).toBe(true)
  await sensor.warmUp()
  return sensor
}

export const twoEngines: GoEngineRun[] = [
  {
    engine: 'trivy',
    vulnerabilities: [
      {
        cveId: 'CVE-2024-0001',
        source: 'trivy',
        severity: 'CRITICAL',
        cvssScore: 9.8,
        title: 'openssl: a <b> & c',
        packageName: 'openssl',
        installedVersion: '3.0.11-1~deb12u2',
        fixedVersion: '3.0.13-1~deb12u1',
      },
      {
        cveId: 'CVE-2024-0002',
        source: 'trivy',
        severity: 'UNKNOWN',
        packageName: 'zlib',
        installedVersion: '1.2.13',
      },
    ],
    packages: [
      { name: 'openssl', version: '3.0.11-1~deb12u2', type: 'debian', source: 'trivy' },
      { name: 'zlib', version: '1.2.13', type: 'debian', source: 'trivy' },
    ],
  },
  {
    engine: 'grype',
    vulnerabilities: [
      {
        cveId: 'CVE-2024-0001',
        source: 'grype',
        severity: 'High',
        packageName: 'openssl',
        installedVersion: '3.0.11-1~deb12u2',
      },
      {
        cveId: 'GHSA-aaaa-bbbb-cccc',
        source: 'grype',
        severity: 'Medium',
        packageName: 'lodash',
        installedVersion: '4.17.20',
      },
    ],
  },
  {
    engine: 'syft',
    packages: [
      {
        name: 'openssl',
        version: '3.0.11-1~deb12u2',
        type: 'deb',
        source: 'syft',
        license: 'Apache-2.0',
        purl: 'pkg:deb/debian/openssl@3.0.11-1~deb12u2?distro=debian-12',
      },
      {
        name: 'lodash',
        version: '4.17.20',
        type: 'npm',
        source: 'syft',
        license: 'MIT',
        purl: 'pkg:npm/lodash@4.17.20',
      },
    ],
  },
]

export const theDirectory = () => directoryDb(env as unknown as Env, newMeter())
