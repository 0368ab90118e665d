import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { note, type Seen } from './calls.ts'
import type { Furnished } from './furnish.ts'

const HOOKS = fileURLToPath(new URL('./hooks.py', import.meta.url))
const LIMIT_MS = 8 * 60_000

/** No server error; status, content type, headers and body as documented; invalid input refused. */
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'negative_data_rejection',
  'missing_required_header',
  'unsupported_method',
  'allow_header_conformance',
  'use_after_free',
  'ensure_resource_availability',
  'ignored_auth',
]

export interface RunOptions {
  program: string
  document: string
  origin: string
  world: Furnished
  seed: number
  examples: number
}

/** Runs schemathesis to its end: its exit code, what it printed, and every status it met, into `seen`. */
export async function runSchemathesis(
  options: RunOptions,
  seen: Seen,
): Promise<{ code: number | null; output: string }> {
  const work = mkdtempSync(join(tmpdir(), 'harborguard-schemathesis-'))
  const files = { world: join(work, 'world.json'), seen: join(work, 'seen.txt') }
  writeFileSync(files.world, JSON.stringify(options.world), { mode: 0o600 })
  writeFileSync(files.seen, '')
  try {
    const args = [
      ...['run', options.document, '--url', options.origin, '--checks', CHECKS.join(',')],
      ...['--seed', String(options.seed), '--max-examples', String(options.examples), '--workers', '2'],
      ...['--generation-database', 'none', '--no-shrink', '--continue-on-failure', '--no-color'],
      ...['--request-timeout', '30', '--suppress-health-check', 'all', '--warnings', 'off'],
    ]
    const environment = {
      PATH: process.env.PATH ?? '',
      HOME: work,
      SCHEMATHESIS_HOOKS: HOOKS,
      HG_SCHEMATHESIS_WORLD: files.world,
      HG_SCHEMATHESIS_SEEN: files.seen,
      PYTHONDONTWRITEBYTECODE: '1',
    }
    const ended = await finished(options.program, args, environment, work)
    for (const line of readFileSync(files.seen, 'utf8').split('\n').filter(Boolean)) {
      const [operation, status] = line.split(' ')
      note(seen, operation!, Number(status))
    }
    return ended
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function finished(program: string, args: string[], env: Record<string, string>, cwd: string) {
  return new Promise<{ code: number | null; output: string }>((resolve, reject) => {
    const child = spawn(program, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT_MS })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += chunk
      })
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}
