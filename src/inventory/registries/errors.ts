import type { SafeFetchError } from '../../net/safe-fetch.ts'
import { type ReasonCode, reason, type ScanReason } from '../../scanning/reasons.ts'

/** Why a registry did not give what was asked. Nothing here repeats what the registry said. */
export type RegistryError =
  | { kind: 'address_refused'; message: string }
  | { kind: 'unreachable' }
  | { kind: 'timeout' }
  | { kind: 'too_many_redirects' }
  | { kind: 'unauthorized' }
  | { kind: 'credentials_required' }
  | { kind: 'forbidden' }
  | { kind: 'not_found' }
  | { kind: 'catalogue_unsupported' }
  | { kind: 'rate_limited'; retryAfterSeconds: number | null }
  | { kind: 'server_error'; status: number; retryAfterSeconds: number | null }
  | { kind: 'unexpected_status'; status: number }
  | { kind: 'invalid_reply'; message: string }
  | { kind: 'too_large' }
  | { kind: 'corrupt' }
  | { kind: 'unsupported_image'; message: string }
  | { kind: 'platform_not_found'; available: string[] }

export type RegistryOutcome<T> = { ok: true; value: T } | { ok: false; error: RegistryError }

export const fail = (error: RegistryError): { ok: false; error: RegistryError } => ({ ok: false, error })
export const done = <T>(value: T): { ok: true; value: T } => ({ ok: true, value })

/** A failed call as a registry's error. */
export function fromSafeFetch(error: SafeFetchError): RegistryError {
  switch (error.kind) {
    case 'refused':
      return { kind: 'address_refused', message: error.message }
    case 'timeout':
    case 'too_large':
    case 'too_many_redirects':
    case 'unreachable':
      return { kind: error.kind }
    case 'aborted':
      return { kind: 'timeout' }
  }
}

/** The scan reason that a registry's error becomes. */
export function registryReason(error: RegistryError): ScanReason {
  return reason(REASON_OF[error.kind], detailOf(error))
}

/** True when the same call may succeed later without anybody changing anything. */
export const isTransient = (error: RegistryError): boolean => TRANSIENT.includes(error.kind)

/** How long the registry asked to wait, in seconds; null when it did not say. */
export const retryAfterSeconds = (error: RegistryError): number | null =>
  'retryAfterSeconds' in error ? error.retryAfterSeconds : null

const TRANSIENT: RegistryError['kind'][] = ['unreachable', 'timeout', 'rate_limited', 'server_error']

const REASON_OF: Record<RegistryError['kind'], ReasonCode> = {
  address_refused: 'registry_unreachable',
  unreachable: 'registry_unreachable',
  timeout: 'registry_unreachable',
  too_many_redirects: 'registry_invalid_reply',
  unauthorized: 'registry_unauthorized',
  credentials_required: 'registry_unauthorized',
  forbidden: 'registry_forbidden',
  not_found: 'image_not_found',
  catalogue_unsupported: 'registry_error',
  rate_limited: 'registry_rate_limited',
  server_error: 'registry_error',
  unexpected_status: 'registry_error',
  invalid_reply: 'registry_invalid_reply',
  too_large: 'registry_invalid_reply',
  corrupt: 'image_corrupt',
  unsupported_image: 'image_unsupported',
  platform_not_found: 'platform_not_found',
}

function detailOf(error: RegistryError): string | undefined {
  switch (error.kind) {
    case 'address_refused':
    case 'invalid_reply':
    case 'unsupported_image':
      return error.message
    case 'timeout':
      return 'It did not answer in time.'
    case 'credentials_required':
      return 'It wants credentials and none are stored.'
    case 'catalogue_unsupported':
      return 'It does not offer a catalogue of its repositories.'
    case 'too_large':
      return 'Its answer is larger than accepted.'
    case 'too_many_redirects':
      return 'It redirects too often.'
    case 'rate_limited':
      return error.retryAfterSeconds === null ? undefined : `It asked to wait ${error.retryAfterSeconds} s.`
    case 'server_error':
    case 'unexpected_status':
      return `Its status was ${error.status}.`
    case 'platform_not_found':
      return error.available.length === 0
        ? undefined
        : `There are: ${error.available.slice(0, 12).join(', ')}.`
    case 'unreachable':
    case 'unauthorized':
    case 'forbidden':
    case 'not_found':
    case 'corrupt':
      return undefined
    default:
      return error satisfies never
  }
}
