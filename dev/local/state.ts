import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What one local installation remembers. Keys and data live in one directory, and die together. */
export interface LocalState {
  dir: string
  /** Wrangler's persisted D1, R2, queues and Durable Objects. */
  persistDir: string
  /** `KEY=value` lines with OPERATOR_TOKEN and ROOT_KEYS, for `wrangler dev --env-file`. */
  secretsFile: string
  operatorToken: string
  read(name: string): string | null
  write(name: string, value: string): void
}

/**
 * Opens (or makes, with new random secrets) the state directory: 0700, files 0600. From here on this process and those
 * that it starts write for the user alone.
 */
export function openState(dir: string): LocalState {
  process.umask(0o077)
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  chmodSync(dir, 0o700)
  const path = (name: string) => join(dir, name)
  const state = {
    read: (name: string) => (existsSync(path(name)) ? readFileSync(path(name), 'utf8') : null),
    write: (name: string, value: string) => writeFileSync(path(name), value, { mode: 0o600 }),
  }
  const secretsFile = path('secrets.env')
  if (!existsSync(secretsFile)) {
    const keys = JSON.stringify({
      active: 'local-1',
      keys: { 'local-1': randomBytes(32).toString('base64') },
    })
    state.write('secrets.env', `OPERATOR_TOKEN=${randomBytes(32).toString('hex')}\nROOT_KEYS='${keys}'\n`)
  }
  const operatorToken = /^OPERATOR_TOKEN=(\w+)$/m.exec(readFileSync(secretsFile, 'utf8'))![1]!
  return { dir, persistDir: path('worker'), secretsFile, operatorToken, ...state }
}
