import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const REQUIREMENTS = fileURLToPath(new URL('./requirements.txt', import.meta.url))
const INSTALL_MS = 240_000

export type Installed = { program: string } | { missing: string }

/**
 * schemathesis in a venv below `~/.cache/harborguard`, in the versions and with the hashes of `requirements.txt`;
 * made once for each content of that file. What is missing is a sentence.
 */
export async function installSchemathesis(): Promise<Installed> {
  const name = createHash('sha256').update(readFileSync(REQUIREMENTS)).digest('hex').slice(0, 12)
  const venv = join(homedir(), '.cache', 'harborguard', `schemathesis-${name}`)
  const done = join(venv, '.installed')
  const program = join(venv, 'bin', 'schemathesis')
  if (existsSync(done)) return { program }
  rmSync(venv, { recursive: true, force: true })
  mkdirSync(venv, { recursive: true })
  try {
    const { stdout } = await run('python3', ['-c', 'import sys; print(sys.version_info >= (3, 11))'])
    if (stdout.trim() !== 'True') return { missing: 'schemathesis needs Python 3.11' }
    await run('python3', ['-m', 'venv', venv], { timeout: INSTALL_MS })
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:']
    await run(join(venv, 'bin', 'python'), [...pip, '--require-hashes', '-r', REQUIREMENTS], {
      timeout: INSTALL_MS,
    })
  } catch (error) {
    rmSync(venv, { recursive: true, force: true })
    const said = String((error as { stderr?: string }).stderr || (error as Error).message).trim()
    return { missing: `schemathesis could not be installed: ${said.split('\n').at(-1)?.slice(0, 300)}` }
  }
  writeFileSync(done, '')
  return { program }
}
