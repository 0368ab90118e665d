// A stand-in for trivy, grype and syft. usage: fake-engine.mjs DIRECTORY NAME …engine's own arguments
// Its behaviour is the word in DIRECTORY/NAME.mode; without one it reports an image without findings.
import { spawn } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'

const [directory, name, ...args] = process.argv.slice(2)
const mode = existsSync(join(directory, `${name}.mode`))
  ? readFileSync(join(directory, `${name}.mode`), 'utf8')
  : 'ok'
const record = { name, args, env: process.env, cwd: readdirSync('.'), home: readdirSync(process.env.HOME) }
appendFileSync(join(directory, 'calls.ndjson'), `${JSON.stringify({ ...record, pid: process.pid })}\n`)

if (args[0] === 'version') {
  console.log(JSON.stringify({ Version: '9.9.9', version: '9.9.9' }))
  process.exit(0)
}

const layout = args.map((arg) => arg.replace(/^(oci-dir|sbom):/, '')).find((arg) => arg.startsWith('/'))
const platform = { os: 'linux', architecture: mode === 'wrong-platform' ? 'arm64' : 'amd64' }
const REPORTS = {
  trivy: {
    SchemaVersion: 2,
    ArtifactName: layout,
    Metadata: { ImageConfig: platform, OS: { Family: 'debian', Name: '12.5' } },
  },
  grype: {
    matches: [],
    source: { target: { ...platform, userInput: layout } },
    descriptor: { name: 'grype', db: { status: { built: '2026-11-20T06:00:00Z', schemaVersion: 'v6.1.4' } } },
  },
  syft: {
    schema: { version: '16.1.10' },
    descriptor: { name: 'syft', configuration: { home: process.env.HOME } },
    artifacts: [],
    source: { metadata: { ...platform, userInput: layout } },
  },
}
const json = JSON.stringify(REPORTS[name])
const TEXTS = {
  garbage: 'not json',
  'not-its-report': '{}',
  empty: '',
  half: json.slice(0, json.length / 2),
  twice: json + json,
  deep: '['.repeat(200_000),
  nul: '\0'.repeat(1000),
}
const text = TEXTS[mode] ?? json
const ownSbom = (format) => JSON.stringify({ format, name: args[args.indexOf('--source-name') + 1] })

function report() {
  if (name === 'grype') writeSync(1, text)
  if (name === 'trivy') writeFileSync(args[args.indexOf('--output') + 1], text)
  if (name === 'syft')
    for (const arg of args) {
      const [, format, path] = /^(syft-json|cyclonedx-json@1\.5|spdx-json@2\.3)=(.+)$/.exec(arg) ?? []
      if (path && !(mode === 'no-sboms' && format !== 'syft-json'))
        writeFileSync(path, format === 'syft-json' ? text : ownSbom(format))
    }
}

if (mode.startsWith('stderr:')) {
  console.error(mode.slice('stderr:'.length))
  process.exit(1)
}

/** A child that ignores SIGTERM; `detached` leaves the process group, as badly behaved programs do. */
function leaveChild(detached, stdio) {
  const child = spawn(
    process.execPath,
    ['-e', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"],
    {
      ...{ detached, stdio },
    },
  )
  appendFileSync(join(directory, 'escaped.pids'), `${child.pid}\n`)
  child.unref()
}

/** Writes 500 MB where the report goes, or to stderr. */
function flood(fd) {
  const megabyte = Buffer.alloc(1024 * 1024, 'x')
  for (let written = 0; written < 500; written++) writeSync(fd, megabyte)
}

if (mode === 'crash') process.kill(process.pid, 'SIGSEGV')
if (mode === 'noise') {
  flood(2)
  process.exit(1)
}
if (mode === 'flood') {
  const report = args
    .map((arg) => arg.replace(/^syft-json=/, ''))
    .find((arg) => arg.endsWith(`/${name}.json`))
  flood(name === 'grype' ? 1 : openSync(report, 'w'))
  process.exit(0)
}
if (mode === 'unpack') flood(openSync(join(process.env.TMPDIR, 'layer'), 'w'))
if (mode === 'hang' || mode === 'wait') {
  if (mode === 'hang') process.on('SIGTERM', () => {})
  leaveChild(true, 'ignore')
  setInterval(() => {}, 1000)
} else if (mode === 'fork') {
  leaveChild(true, 'ignore')
  leaveChild(true, 'inherit')
  leaveChild(false, 'inherit')
  report()
  process.exit(0)
} else if (mode !== 'quiet') {
  report()
}
