import { formatAuthority, type ImageReference } from '../../src/inventory/images/reference.ts'
import type { Api } from './api.ts'

const POLL_MS = 250
const MAX_WAIT_MS = 65 * 60_000 // the server ends every scan within 60 minutes of its start

export interface ScanStatus {
  id: string
  status: 'PENDING' | 'IN_PROGRESS' | 'COMPLETE' | 'FAILED' | 'CANCELLED'
  phase: string
  progress: number
  engines: { name: string; status: string }[]
}

export interface Scan {
  id: string
  image: string
  imageId: string | null
  digest: string | null
  platform: string | null
  status: ScanStatus['status']
  partial: boolean
  reason: { code: string; message: string } | null
  compliance: string | null
  riskScore: number | null
  counts: Record<'critical' | 'high' | 'medium' | 'low' | 'unknown', number> | null
  duration: number | null
  engines: {
    name: string
    version: string | null
    status: string
    durationMs: number | null
    reason: { code: string; message: string } | null
    database: { builtAt: string; schema: string | null; source: string; advisories?: number } | null
  }[]
}

/**
 * Connects the registry that an image reference names, anonymously, unless one is connected already; its id. Registries
 * on loopback speak plain http, as Docker has it.
 */
export async function ensureRegistry(api: Api, place: ImageReference): Promise<string> {
  const insecure = place.host === 'localhost' || /^127\.|^\[::1\]$/.test(place.host)
  const host = place.host === 'docker.io' ? 'registry-1.docker.io' : formatAuthority(place.host, place.port)
  const url = `${insecure ? 'http' : 'https'}://${host}`
  const known = await api.all<{ id: string; url: string }>('/api/registries?limit=200')
  const found = known.find((registry) => registry.url === url)
  if (found) return found.id
  const { data } = await api.post<{ data: { id: string } }>('/api/registries', {
    name: host,
    provider: 'CUSTOM',
    url,
    insecure,
    schedule: 'manual',
  })
  return data.id
}

/** Requests a scan and follows it to its end; `onProgress` gets every change. */
export async function scanImage(
  api: Api,
  image: string,
  onProgress: (status: ScanStatus) => void,
  options: { registryId?: string; scanners?: string[]; signal?: AbortSignal } = {},
): Promise<Scan> {
  const { scanId } = await api.post<{ scanId: string }>('/api/scans', {
    image,
    scanners: options.scanners ?? ['trivy', 'grype', 'syft'],
    ...(options.registryId && { registryId: options.registryId }),
  })
  const deadline = Date.now() + MAX_WAIT_MS
  while (Date.now() < deadline) {
    options.signal?.throwIfAborted()
    const { data } = await api.get<{ data: ScanStatus }>(`/api/scans/${scanId}/status`)
    onProgress(data)
    if (['COMPLETE', 'FAILED', 'CANCELLED'].includes(data.status)) {
      return (await api.get<{ data: Scan }>(`/api/scans/${scanId}`)).data
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  throw new Error(`scan ${scanId} did not end`)
}
