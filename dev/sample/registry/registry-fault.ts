import type { ServerResponse } from 'node:http'

/** What the registry does wrong, on which kind of request, and how often (always unless `times` says). */
export type RegistryFault = {
  /** `any` includes the catalogue, tag lists and the token endpoint. */
  on: 'any' | 'manifests' | 'blobs'
  times?: number
} & (
  | { kind: 'slow'; delayMs: number }
  | { kind: 'stall' }
  | { kind: 'status'; status: 401 | 403 | 404 | 429 | 500 | 502 | 503; retryAfterSeconds?: number }
  | { kind: 'html' }
  | { kind: 'corrupt' }
  | { kind: 'truncate' }
  | { kind: 'wrongDigestHeader' }
  | { kind: 'redirect'; to: string }
)

export type RequestKind = 'manifests' | 'blobs' | 'other'

/** Whether the fault concerns this kind of request. */
export function faultApplies(fault: RegistryFault, kind: RequestKind): boolean {
  return fault.on === 'any' || fault.on === kind
}

/** Answers in the registry's place where the fault replaces the whole answer; false where it only changes the content. */
export function answerWithFault(fault: RegistryFault, response: ServerResponse, path: string): boolean {
  switch (fault.kind) {
    case 'stall':
      return true
    case 'status': {
      const retry =
        fault.retryAfterSeconds === undefined ? {} : { 'retry-after': String(fault.retryAfterSeconds) }
      const code =
        fault.status === 429 ? 'TOOMANYREQUESTS' : fault.status === 404 ? 'NAME_UNKNOWN' : 'UNKNOWN'
      response.writeHead(fault.status, { 'content-type': 'application/json', ...retry })
      response.end(JSON.stringify({ errors: [{ code, message: 'fault' }] }))
      return true
    }
    case 'html':
      response.writeHead(200, { 'content-type': 'text/html' })
      response.end('<!doctype html><title>Sign in</title>')
      return true
    case 'redirect':
      response.writeHead(307, { location: `${fault.to}${path}` })
      response.end()
      return true
    case 'slow':
    case 'corrupt':
    case 'truncate':
    case 'wrongDigestHeader':
      return false
    default:
      return fault satisfies never
  }
}
