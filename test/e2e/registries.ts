import type { Api } from '../../dev/local/api.ts'
import type { Account } from './debian-registry.ts'
import { until } from './until.ts'

export interface ConnectedRegistry {
  id: string
  status: 'UNTESTED' | 'ACTIVE' | 'ERROR'
  statusReason: { code: string } | null
  syncStatus: 'idle' | 'queued' | 'running'
  imageCount: number
  lastSyncedAt: string | null
  sensorApiKey?: string
}

/** Connects a registry on loopback and waits until its first sync has ended, well or not. */
export async function connectRegistry(
  api: Api,
  host: string,
  options: { credentials?: Account; scanMethod?: 'cloud' | 'sensor' } = {},
): Promise<ConnectedRegistry> {
  const { data } = await api.post<{ data: ConnectedRegistry }>('/api/registries', {
    ...{ name: host, provider: 'DOCKER_REGISTRY', url: `http://${host}`, insecure: true, schedule: 'manual' },
    ...options,
  })
  if (options.scanMethod === 'sensor') return data
  return synced(api, data.id)
}

/** The registry once no sync of it is waiting or running. */
export async function synced(api: Api, id: string): Promise<ConnectedRegistry> {
  return until(async () => {
    const { data } = await api.get<{ data: ConnectedRegistry }>(`/api/registries/${id}`)
    return data.syncStatus === 'idle' && data.status !== 'UNTESTED' ? data : null
  })
}
