import type { ChildProcess } from 'node:child_process'
import { inject } from 'vitest'
import type { Api } from '../../dev/local/api.ts'
import { Processes } from '../../dev/local/processes.ts'
import { type RunnerOptions, startRunner } from '../../dev/local/runner.ts'
import { connectRegistry } from './registries.ts'
import { until } from './until.ts'

/** A registry that its own runner scans: connected with `scanMethod: sensor`. */
export interface SensedRegistry {
  id: string
  host: string
  key: string
}

export async function connectSensed(api: Api, host: string): Promise<SensedRegistry> {
  const { id, sensorApiKey } = await connectRegistry(api, host, { scanMethod: 'sensor' })
  return { id, host, key: sensorApiKey! }
}

/** Runners of single registries, each a process of its own; `stop` ends all of them. */
export class Sensors {
  readonly #processes = new Processes()

  /** Starts one and waits until the server has heard of it. */
  async start(
    api: Api,
    registry: SensedRegistry,
    options: Pick<RunnerOptions, 'name'> & Partial<Pick<RunnerOptions, 'enginesDir' | 'sampleDatabases'>>,
  ): Promise<ChildProcess> {
    const { root, stateDir, url, witnessesDir, sampleDatabases } = inject('system')
    const common = { root, stateDir, workerUrl: url, apiKey: registry.key }
    const child = startRunner(
      { ...common, enginesDir: witnessesDir, sampleDatabases, ...options },
      this.#processes,
    )
    await until(async () => {
      const path = `/api/registries/${registry.id}/sensor-status`
      const { data } = await api.get<{ data: { status: string } }>(path)
      return data.status === 'offline' ? null : data
    })
    return child
  }

  stop(): Promise<void> {
    return this.#processes.stopAll()
  }
}
