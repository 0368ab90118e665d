import { Api } from './api.ts'
import type { LocalState } from './state.ts'

/** The organization's API key and the cloud runner's key: made through the operator routes on the first start. */
export async function ensureKeys(
  url: string,
  state: LocalState,
): Promise<{ apiKey: string; runnerKey: string; isNew: boolean }> {
  const operator = new Api(url, state.operatorToken)
  const known = state.read('api-key')
  const apiKey = known ?? (await createOrganization(operator))
  if (!known) state.write('api-key', apiKey)
  const knownRunner = state.read('runner-key')
  const runnerKey = knownRunner ?? (await createRunner(operator))
  if (!knownRunner) state.write('runner-key', runnerKey)
  return { apiKey, runnerKey, isNew: known === null }
}

async function createOrganization(operator: Api): Promise<string> {
  const { data } = await operator.post<{ data: { apiKey: { key: string } } }>('/operator/organizations', {
    name: 'Local',
    slug: 'local',
    owner: { email: 'owner@localhost.example', name: 'Local owner' },
  })
  return data.apiKey.key
}

async function createRunner(operator: Api): Promise<string> {
  const { data } = await operator.post<{ data: { key: string } }>('/operator/runners', {
    name: 'local runner',
  })
  return data.key
}
