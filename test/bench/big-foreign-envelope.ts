import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type InspectedWorker, startInspectedWorker } from './inspected-worker.ts'
import { until } from './tenant.ts'

/**
 * What a stand-alone envelope 1.0 of 50 MB costs: 200,000 packages as the public sensor lists them, every tenth also by
 * trivy. Times are milliseconds, on a Worker behind wrangler's proxy and while its heap is sampled.
 */

const [PACKAGES = 200_000, FINDINGS = 5000] = process.argv.slice(2).map(Number)

function listed(index: number) {
  const isDeb = index % 2 === 0
  const name = `package-with-a-rather-long-name-${index}`
  const version = `${index % 9}.${index % 20}.${index % 10}${isDeb ? '-1+deb12u1' : ''}`
  const encoded = version.replace('+', '%2B')
  const purl = isDeb
    ? `pkg:deb/debian/${name}@${encoded}?arch=amd64&distro=debian-12.5&upstream=source-of-the-package-${index}`
    : `pkg:npm/%40scope/${name}@${encoded}`
  return {
    name: isDeb ? name : `@scope/${name}`,
    version,
    type: isDeb ? 'deb' : 'npm',
    source: 'syft',
    license: 'MIT',
    purl,
  }
}

function envelope() {
  const packages = Array.from({ length: PACKAGES }, (_, index) => listed(index))
  const ofTrivy = packages
    .filter((_, index) => index % 10 === 0)
    .map(({ name, version, purl }) => ({
      name,
      version,
      type: 'debian',
      source: 'trivy',
      purl: purl.replace(/&upstream.*/, ''),
    }))
  const vulnerabilities = packages.slice(0, FINDINGS).map(({ name, version }, index) => ({
    ...{
      cveId: `CVE-2026-${10_000 + (index % 3000)}`,
      source: index % 3 === 0 ? 'grype' : 'trivy',
      severity: 'HIGH',
    },
    ...{ cvssScore: 7.5, title: 'A flaw in the parser', description: 'More about it. '.repeat(20) },
    ...{ packageName: name, installedVersion: version, fixedVersion: '9.9.9' },
  }))
  return {
    version: '1.0',
    sensor: {
      version: '0.1.0',
      scannerVersions: { trivy: 'Version: 0.69.3', grype: 'Application: grype', syft: 'syft' },
    },
    image: { ref: 'ghcr.io/big/envelope:1', digest: `ghcr.io/big/envelope@sha256:${'ab'.repeat(32)}` },
    scan: { id: crypto.randomUUID(), status: 'SUCCESS' },
    findings: { vulnerabilities, packages: [...packages, ...ofTrivy], compliance: [], efficiency: [] },
  }
}

async function call(worker: InspectedWorker, path: string, key: string, body?: string) {
  const response = await fetch(new URL(path, worker.origin), {
    method: body === undefined ? 'GET' : 'POST',
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    ...(body !== undefined && { body }),
  })
  // biome-ignore lint/suspicious/noExplicitAny: replies are read member by member
  return { status: response.status, body: (await response.json()) as any }
}

async function measure(worker: InspectedWorker, key: string, kind: string) {
  const body = JSON.stringify(envelope())
  const { result, before, peak } = await worker.heap.peakDuring(async () => {
    const began = performance.now()
    const uploaded = await call(worker, '/api/scans/upload', key, body)
    const answeredMs = Math.round(performance.now() - began)
    const scan = await until('the scan', async () => {
      const read = await call(worker, `/api/scans/${uploaded.body.scanId}`, key)
      return read.body.data.status === 'IN_PROGRESS' ? null : read.body.data
    })
    return {
      status: scan.status,
      reason: scan.reason,
      answeredMs,
      readableMs: Math.round(performance.now() - began),
    }
  })
  const megabytes = (bytes: number) => Math.round(bytes / 100_000) / 10
  const heap = {
    before: megabytes(before.usedBytes),
    peak: megabytes(peak.usedBytes),
    buffers: megabytes(peak.buffersBytes),
  }
  console.log(JSON.stringify({ kind, uploadBytes: body.length, ...result, heap, samples: peak.samples }))
}

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const worker = await startInspectedWorker(root)
try {
  const owner = { email: 'big@example.com', name: 'Owner' }
  const made = await call(
    worker,
    '/operator/organizations',
    worker.operatorToken,
    JSON.stringify({ name: 'big', slug: 'big', owner }),
  )
  const { key } = made.body.data.apiKey
  await measure(worker, key, 'first')
  await measure(worker, key, 'unchanged')
} catch (error) {
  console.error(error, worker.output().slice(-4000))
  process.exitCode = 1
} finally {
  await worker.close()
}
