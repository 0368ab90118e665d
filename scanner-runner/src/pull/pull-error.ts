import type { ReasonCode } from '../../../src/scanning/reasons.ts'
import { isDiskFull } from '../disk-full.ts'

interface Detail {
  /** Trying the same again may help: a broken connection, a server's passing trouble. */
  retry?: boolean
  cause?: unknown
}

/** Why an image could not be pulled: a code of the reason catalogue, and detail that echoes no reply body. */
export class PullError extends Error {
  override name = 'PullError'
  readonly code: ReasonCode
  readonly retry: boolean

  constructor(code: ReasonCode, message: string, detail: Detail = {}) {
    super(message, { cause: detail.cause })
    this.code = code
    this.retry = detail.retry ?? false
  }
}

const TLS_CODES = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO)/

/** Any failure below the registry's own words, as a PullError. Aborts stay what they are. */
export function asPullError(error: unknown, host: string): unknown {
  if (error instanceof PullError) return error
  const { code = '', name = '' } = (error ?? {}) as { code?: string; name?: string }
  if (name === 'AbortError' || code === 'ABORT_ERR') return error
  if (code === 'HG_ADDRESS_REFUSED')
    return new PullError('registry_unreachable', (error as Error).message, { cause: error })
  if (isDiskFull(error)) return new PullError('disk_full', '', { cause: error })
  const retry = code !== 'ENOTFOUND' && !TLS_CODES.test(code)
  return new PullError('registry_unreachable', `${host}: ${code || 'the connection broke'}`, {
    retry,
    cause: error,
  })
}
