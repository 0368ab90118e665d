import { allowsPrivateNetworks, type Env } from '../../env.ts'
import { type Issue, invalid } from '../../http/problems.ts'
import type { ProviderName } from './provider-names.ts'
import { registryProvider } from './providers/index.ts'
import type { RegistryProvider } from './providers/provider.ts'
import { parseRegistryUrl, type RegistryAddress } from './registry-url.ts'
import type { ScanMethod } from './schemas.ts'

export interface WantedAddress {
  provider: ProviderName
  url: string | undefined
  insecure: boolean
  scanMethod: ScanMethod
}

/** Provider and address as a person gave them. Throws VALIDATION_ERROR on `provider` and `url`. */
export function registryAddress(
  env: Env,
  wanted: WantedAddress,
): { provider: RegistryProvider; address: RegistryAddress } {
  const issues: Issue[] = []
  const choice = registryProvider(wanted.provider)
  if (!choice.ok) issues.push({ path: 'provider', message: choice.message })
  const address = readAddress(env, wanted)
  if (!address.ok) issues.push({ path: 'url', message: address.message })
  if (!choice.ok || !address.ok) throw invalid(...issues)
  return { provider: choice.provider, address }
}

function readAddress(env: Env, { url, insecure, scanMethod }: WantedAddress) {
  if (url === undefined) return { ok: false as const, message: 'is required for this provider' }
  return parseRegistryUrl(url, { insecure, scanMethod, allowPrivateNetworks: allowsPrivateNetworks(env) })
}
