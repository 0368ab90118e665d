import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Processes } from '../../dev/local/processes.ts'
import { findOnPath } from '../../scanner-runner/src/install/find-on-path.ts'
import { aFreePort } from './a-port.ts'

const START_TIMEOUT_MS = 20_000

export interface Account {
  username: string
  password: string
}

/** Who may enter, as docker-registry's configuration says it. */
export interface RegistryEntrance {
  /** The `auth` section, as YAML below `auth:`. */
  configuration: string
}

/** Why Debian's registry cannot run here; null where it can. */
export function debianRegistryLacks(programs: readonly string[] = []): string | null {
  const missing = ['docker-registry', ...programs].filter((name) => !findOnPath(name, process.env.PATH ?? ''))
  return missing.length === 0 ? null : `${missing.join(', ')} not on the PATH (Debian's packages have them)`
}

/** Basic authentication for one account, by a password file that `htpasswd` writes. */
export async function byPassword(directory: string, account: Account): Promise<RegistryEntrance> {
  const file = join(directory, 'htpasswd')
  const { stdout } = await promisify(execFile)('htpasswd', ['-Bbn', account.username, account.password])
  mkdirSync(directory, { recursive: true })
  writeFileSync(file, stdout.trim())
  return { configuration: `  htpasswd:\n    realm: e2e\n    path: ${file}\n` }
}

/** A process of Debian's docker-registry on loopback with an empty storage. */
export class DebianRegistry {
  readonly host: string
  readonly url: string
  readonly #processes: Processes

  private constructor(host: string, processes: Processes) {
    this.host = host
    this.url = `http://${host}`
    this.#processes = processes
  }

  /** Starts it and waits until it answers; its files lie in `directory`. */
  static async start(directory: string, entrance: RegistryEntrance): Promise<DebianRegistry> {
    const host = `127.0.0.1:${await aFreePort()}`
    const storage = join(directory, 'storage')
    mkdirSync(storage, { recursive: true })
    const config = join(directory, 'config.yml')
    writeFileSync(
      config,
      [
        'version: 0.1',
        'log:\n  level: warn\n  accesslog:\n    disabled: true',
        `storage:\n  filesystem:\n    rootdirectory: ${storage}`,
        `http:\n  addr: ${host}`,
        `auth:\n${entrance.configuration}`,
      ].join('\n'),
    )
    const processes = new Processes()
    const child = processes.start('docker-registry', ['serve', config], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env.PATH, OTEL_TRACES_EXPORTER: 'none' },
    })
    let said = ''
    child.stderr!.on('data', (chunk) => {
      said = (said + chunk).slice(-4000)
    })
    const ended = once(child, 'exit').then(() => Promise.reject(new Error(`docker-registry ended: ${said}`)))
    ended.catch(() => {})
    await Promise.race([untilItAnswers(`http://${host}/v2/`), ended])
    return new DebianRegistry(host, processes)
  }

  stop(): Promise<void> {
    return this.#processes.stopAll()
  }
}

async function untilItAnswers(url: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS
  while (Date.now() < deadline) {
    if (await fetch(url).catch(() => null)) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`nothing answered at ${url} within ${START_TIMEOUT_MS / 1000} s`)
}
