import type { BaseContext } from '../context.ts'
import { type LogLevel, logUnit } from '../log.ts'
import { Problem } from './problems.ts'

/** What becomes known of a request on its way, for its log line and for the headers of every kind of reply. */
export interface Trail {
  /** The operation's id; null for what is no route. Never the URL: it holds ids, and its query may hold anything. */
  route: string | null
  /** The public id of the credential's organization. */
  organization: string | null
  /** Headers of whatever is answered, problems and streams included. */
  headers: Record<string, string>
}

export const newTrail = (): Trail => ({ route: null, organization: null, headers: {} })

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const LEVEL_BY_CLASS: Record<number, LogLevel> = { 4: 'warn', 5: 'error' }

/**
 * The one line of a request, when its reply begins: what is deferred, and the rest of a stream, is not in it.
 * Of an error that the client caused it names the code only; of any other the stack or the database's answer.
 */
export function logRequest(
  base: BaseContext,
  trail: Trail,
  method: string,
  status: number,
  error?: Error,
): void {
  const level = LEVEL_BY_CLASS[Math.floor(status / 100)] ?? 'info'
  const unit = {
    event: 'request',
    requestId: base.requestId,
    organization: trail.organization,
    name: trail.route ?? 'unmatched',
    outcome: status,
    startedAt: base.now,
    meter: base.directory.meter,
  } as const
  logUnit(base.env, level, unit, {
    method: METHODS.has(method) ? method : 'OTHER',
    ...(error && detailsOf(error)),
  })
}

function detailsOf(error: Error): object {
  if (error instanceof Problem) return { problem: error.detail ?? error.code }
  return { error: error.cause === undefined ? error.stack : `${error.message}: ${error.cause}` }
}
