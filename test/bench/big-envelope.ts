import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Result } from '../../src/scanning/sensors/result.ts'
import { aResult, DAY } from '../risk/results.ts'
import { type HeapPeak, type InspectedWorker, startInspectedWorker } from './inspected-worker.ts'
import type { BenchServer } from './server.ts'
import { aTenant, type Tenant } from './tenant.ts'
import { digestOf } from './world.ts'

const PACKAGES = 200_000
const FINDINGS = 5000

/** One upload of a 50 MB envelope. Times are milliseconds, on a Worker behind wrangler's proxy and while its heap is sampled. */
export interface BigEnvelopeFigure {
  kind: 'first' | 'unchanged'
  uploadBytes: number
  packages: number
  findings: number
  answeredMs: number
  readableMs: number
  /** Processor time of workerd meanwhile. */
  cpuMs: number
  heapBefore: HeapPeak
  heapPeak: HeapPeak
}

/** Ingests 200,000 packages in 50 MB, twice, in a Worker of its own. */
export async function measureBigEnvelope(
  root: string,
  shape: { packages: number; findings: number } = { packages: PACKAGES, findings: FINDINGS },
): Promise<BigEnvelopeFigure[]> {
  const worker = await startInspectedWorker(root)
  try {
    const tenant = await aTenant(asServer(worker))
    const figures: BigEnvelopeFigure[] = []
    for (const kind of ['first', 'unchanged'] as const) {
      await tenant.requestScans(['big/envelope'])
      figures.push(await measure(worker, tenant, kind, shape))
    }
    return figures
  } catch (error) {
    throw new Error(`${String(error)}\n${worker.output().slice(-4000)}`)
  } finally {
    await worker.close()
  }
}

async function measure(
  { heap, cpuMs }: InspectedWorker,
  tenant: Tenant,
  kind: BigEnvelopeFigure['kind'],
  shape: { packages: number; findings: number },
): Promise<BigEnvelopeFigure> {
  const claimed = await tenant.claim()
  const cpuBefore = cpuMs()
  const { result, before, peak } = await heap.peakDuring(() =>
    tenant.deliver(claimed, bigResult(kind, shape)),
  )
  const { uploadBytes, answeredMs, readableMs } = result
  const cpu = cpuMs() - cpuBefore
  return {
    ...{ kind, ...shape, uploadBytes, answeredMs, readableMs, cpuMs: cpu },
    ...{ heapBefore: before, heapPeak: peak },
  }
}

/** Some 250 bytes a package. */
function bigResult(kind: BigEnvelopeFigure['kind'], shape: { packages: number; findings: number }): Result {
  const build = Date.now() - (kind === 'first' ? 3 : 2) * DAY
  const result = aResult({ ...shape, build, digest: digestOf(3, 1) })
  return {
    ...result,
    packages: result.packages.map((listed) => ({
      ...listed,
      source: null,
      licenses: [],
      listedBy: ['syft'],
      locations: listed.locations.map(({ path }) => ({ path, layer: null })),
    })),
  }
}

/** The tenant needs no database here: nothing is counted in one. */
const asServer = ({ origin, operatorToken }: InspectedWorker): BenchServer => ({
  origin,
  operatorToken,
  database: async () =>
    ({ prepare: () => ({ bind: () => ({ first: async () => ({ num: 0, shard: '' }) }) }) }) as never,
  messageCosts: () => [],
  stopMetering: async () => {},
  close: async () => {},
})

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
  const [packages = PACKAGES, findings = FINDINGS] = process.argv.slice(2).map(Number)
  console.log(JSON.stringify(await measureBigEnvelope(root, { packages, findings }), null, 2))
}
