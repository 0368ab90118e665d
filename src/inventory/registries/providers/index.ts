import type { ProviderName } from '../provider-names.ts'
import { distribution } from './distribution.ts'
import type { RegistryProvider } from './provider.ts'

/** Providers that have a file. Adding one is adding its name here; the record then does not compile without it. */
const IMPLEMENTED = ['DOCKER_REGISTRY', 'CUSTOM'] as const satisfies readonly ProviderName[]
export type ImplementedProvider = (typeof IMPLEMENTED)[number]

const PROVIDERS: Record<ImplementedProvider, RegistryProvider> = {
  DOCKER_REGISTRY: distribution,
  CUSTOM: distribution,
}

export type ProviderChoice = { ok: true; provider: RegistryProvider } | { ok: false; message: string }

/** The provider of a documented name, or the sentence that refuses it. */
export function registryProvider(name: ProviderName): ProviderChoice {
  if (isImplemented(name)) return { ok: true, provider: PROVIDERS[name] }
  const message = `${name} is not available here. A registry that speaks the v2 protocol can be connected as CUSTOM.`
  return { ok: false, message }
}

export const isImplemented = (name: ProviderName): name is ImplementedProvider =>
  IMPLEMENTED.some((implemented) => implemented === name)
