import type { Redactor } from './redact.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
type LogFields = Record<string, unknown>

export interface Log {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
  with(fields: LogFields): Log
}

const MAX_TEXT = 4096 // characters of one value; a log line is not a place for documents

interface Options {
  level: LogLevel
  redactor: Redactor
  write: (line: string) => void
  now: () => Date
  fields?: LogFields
}

/** One JSON line an event: `{time, level, event, …fields}`. Every text passes the redactor before it is written. */
export function createLog(options: Options): Log {
  const lowest = LOG_LEVELS.indexOf(options.level)
  const clean = (_key: string, value: unknown): unknown => {
    if (value instanceof Error) return describeError(value)
    return typeof value === 'string' ? options.redactor.redact(value).slice(0, MAX_TEXT) : value
  }
  const emit = (level: LogLevel) => (event: string, fields?: LogFields) => {
    if (LOG_LEVELS.indexOf(level) < lowest) return
    const line = { time: options.now().toISOString(), level, event, ...options.fields, ...fields }
    options.write(`${JSON.stringify(line, clean)}\n`)
  }
  return {
    debug: emit('debug'),
    info: emit('info'),
    warn: emit('warn'),
    error: emit('error'),
    with: (fields) => createLog({ ...options, fields: { ...options.fields, ...fields } }),
  }
}

/** An error's name, message, code and cause; no stack, which may quote source lines. */
function describeError(error: Error): LogFields {
  const code = (error as { code?: unknown }).code
  return {
    name: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(error.cause instanceof Error ? { cause: describeError(error.cause) } : {}),
  }
}
