import { readFileSync } from 'node:fs'

export interface Operation {
  id: string
  method: string
  /** With its parameters in braces. */
  path: string
  /** Documented, ascending. */
  statuses: number[]
  /** The lowest role, "runner", or null where no credential is asked for. */
  role: string | null
  hasBody: boolean
  rateLimit: number | null
}

interface Documented {
  operationId: string
  responses: Record<string, unknown>
  requestBody?: unknown
  'x-required-role'?: string
  'x-rate-limit'?: { requests: number }
}

/** Every operation of the checked-in OpenAPI document. */
export function operationsOf(file: string): Operation[] {
  const document = JSON.parse(readFileSync(file, 'utf8')) as {
    paths: Record<string, Record<string, Documented>>
  }
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      id: operation.operationId,
      method: method.toUpperCase(),
      path,
      statuses: Object.keys(operation.responses).map(Number),
      role: operation['x-required-role'] ?? null,
      hasBody: operation.requestBody !== undefined,
      rateLimit: operation['x-rate-limit']?.requests ?? null,
    })),
  )
}

/** The operation that answers this path, the most literal one first. */
export function operationAt(
  operations: readonly Operation[],
  method: string,
  path: string,
): Operation | null {
  const plain = path.split('?')[0]!
  const found = operations.filter((one) => one.method === method && pattern(one.path).test(plain))
  return found.sort((a, b) => parameters(a) - parameters(b))[0] ?? null
}

const parameters = ({ path }: Operation) => path.split('{').length
const pattern = (path: string) => new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`)
