import type { RegistryOutcome } from '../../../src/inventory/registries/errors.ts'
import { registryProvider } from '../../../src/inventory/registries/providers/index.ts'
import type { RegistryConnection } from '../../../src/inventory/registries/providers/provider.ts'
import { aRegistry, connectionTo, type FakeRegistry } from './fake-registry.ts'

export const WRONG = { username: 'ci', password: 'wrong' }

/** A client of the fake registry. */
export function openClient(registry: FakeRegistry, changes: Partial<RegistryConnection> = {}) {
  const choice = registryProvider('CUSTOM')
  if (!choice.ok) throw new Error(choice.message)
  return choice.provider.open(connectionTo(registry, changes))
}

/** The error's kind, or `ok`. */
export const kindOf = <T>(outcome: RegistryOutcome<T>) => (outcome.ok ? 'ok' : outcome.error.kind)

export function succeeded<T>(outcome: RegistryOutcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.error.kind)
  return outcome.value
}

/** A registry that always answers the same. */
export const always = (make: () => Response): FakeRegistry => aRegistry({ intercept: () => make() })
