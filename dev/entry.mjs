// Starts every script of package.json from any Node >= 20 with nothing installed: installs the locked
// dependencies when they are not there, then hands over to the project's own Node.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const COMMANDS = {
  start: 'dev/start.ts',
  test: 'dev/test.ts',
  check: 'dev/check.ts',
  bench: 'test/bench/main.ts',
  openapi: 'dev/openapi.ts',
}

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const [command, ...args] = process.argv.slice(2)
const script = COMMANDS[command]
if (!script) {
  console.error(`usage: node dev/entry.mjs ${Object.keys(COMMANDS).join('|')} [arguments]`)
  process.exit(2)
}
install()
handOver()

// `npm install --no-save` keeps to the lock file's versions and checksums and leaves the file alone. `npm ci` would
// refuse where a registry lacks some other platform's optional packages.
function install() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  const marker = join(root, 'node_modules', '.installed-lock')
  if (existsSync(marker) && readFileSync(marker, 'utf8') === lock) return
  console.log('Installing the npm dependencies (about a minute the first time)…')
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const result = spawnSync(npm, ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: 'inherit',
  })
  if (result.status !== 0) {
    console.error('npm install failed; its own words are above.')
    process.exit(result.status ?? 1)
  }
  writeFileSync(marker, lock)
}

function handOver() {
  const bin = join(root, 'node_modules', '.bin')
  const node = join(root, 'node_modules', 'node', 'bin', 'node')
  const child = spawn(node, ['--disable-warning=ExperimentalWarning', join(root, script), ...args], {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      PATH: bin + delimiter + process.env.PATH,
      WRANGLER_SEND_METRICS: 'false',
      WRANGLER_LOG_PATH: join(root, 'node_modules', '.cache', 'wrangler-logs'),
    },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    console.error(`The project's Node could not be started: ${error.message}`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)))
}
