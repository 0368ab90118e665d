// A stand-in for trivy, grype and syft. usage: fake-engine.mjs DIRECTORY NAME …engine's own arguments
// Its behaviour is the word in DIRECTORY/NAME.mode; without one it reports an image without findings.
import { spawn } from 'node:child_process'
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
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
const text =
  mode === 'garbage'
    ? 'not json'
    : mode === 'not-its-report'
      ? '{}'
      : mode === 'empty'
        ? ''
        : JSON.stringify(REPORTS[name])
const ownSbom = (format) => JSON.stringify({ format, name: args[args.indexOf('--source-name') + 1] })

function report() {
  if (name === 'grype') process.stdout.write(text)
  if (name === 'trivy') writeFileSync(args[args.indexOf('--output') + 1], text)
  if (name === 'syft')
    for (const arg of args) {
      const [, format, path] = /^(syft-json|cyclonedx-json@1\.5|spdx-json@2\.3)=(.+)$/.exec(arg) ?? []
      if (path) writeFileSync(path, format === 'syft-json' ? text : ownSbom(format))
    }
}

if (mode.startsWith('stderr:')) {
  console.error(mode.slice('stderr:'.length))
  process.exit(1)
}
if (mode === 'hang' || mode === 'wait') {
  if (mode === 'hang') process.on('SIGTERM', () => {})
  // a child that leaves the process group, as badly behaved programs do
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
    detached: true,
    stdio: 'ignore',
  })
  appendFileSync(join(directory, 'escaped.pids'), `${child.pid}\n`)
  setInterval(() => {}, 1000)
} else if (mode !== 'quiet') {
  report()
}
