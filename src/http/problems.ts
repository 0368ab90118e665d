/** The one catalogue of problems: code, HTTP status, and the sentence a client sees when nothing better is known. */
export const PROBLEMS = {
  BAD_REQUEST: [400, 'The request is malformed'],
  VALIDATION_ERROR: [400, 'Invalid input'],
  UNAUTHORIZED: [401, 'A valid credential is required'],
  PLAN_LIMIT: [402, 'The current plan does not allow this'],
  FORBIDDEN: [403, 'Your role does not allow this'],
  NOT_FOUND: [404, 'Not found'],
  METHOD_NOT_ALLOWED: [405, 'This path does not have that method'],
  CONFLICT: [409, 'The request conflicts with the present state'],
  PAYLOAD_TOO_LARGE: [413, 'The request body is too large'],
  UNSUPPORTED_MEDIA_TYPE: [415, 'The request body must be application/json'],
  RATE_LIMITED: [429, 'Too many requests'],
  INTERNAL_ERROR: [500, 'Something went wrong on our side'],
  SERVICE_UNAVAILABLE: [503, 'Temporarily unavailable, retry after a few seconds'],
  TIMEOUT: [504, 'The request took too long'],
} as const

export type ProblemCode = keyof typeof PROBLEMS
export type ProblemStatus = (typeof PROBLEMS)[ProblemCode][0]

/** One thing wrong with the input: a dotted path ("scanners.0") and a sentence. */
export interface Issue {
  path: string
  message: string
}

/** An error that a client may see. Everything else becomes INTERNAL_ERROR with only the request id. */
export class Problem extends Error {
  readonly code: ProblemCode
  readonly issues: readonly Issue[] | undefined
  readonly headers: Record<string, string>
  /** A finer code for machine clients of the agent routes, such as `lease_lost`. */
  readonly detail: string | undefined

  constructor(code: ProblemCode, message: string, options: ProblemOptions = {}) {
    super(message)
    this.name = 'Problem'
    this.code = code
    this.issues = options.issues
    this.headers = options.headers ?? {}
    this.detail = options.detail
  }

  get status(): ProblemStatus {
    return PROBLEMS[this.code][0]
  }
}

export interface ProblemOptions {
  issues?: readonly Issue[]
  headers?: Record<string, string>
  detail?: string
}

export const problem = (code: ProblemCode, message?: string, options?: ProblemOptions): Problem =>
  new Problem(code, message ?? PROBLEMS[code][1], options)

/** "<Resource> not found": the same for an absent id and for another organization's. */
export const notFound = (resource: string): Problem => problem('NOT_FOUND', `${resource} not found`)

/** A VALIDATION_ERROR whose message joins its issues, as the documentation shows it. */
export function invalid(...issues: Issue[]): Problem {
  const message = issues.map((issue) => `${issue.path}: ${issue.message}`).join(', ')
  return problem('VALIDATION_ERROR', message || undefined, { issues })
}
