import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { enginesDirectory } from '../scanner-runner/src/install/engines-directory.ts'
import { installEngines } from '../scanner-runner/src/install/install-engines.ts'
import { type ImageReference, parseReference } from '../src/inventory/images/reference.ts'
import { Api } from './local/api.ts'
import { databasesAreReachable, ensureSampleDatabases } from './local/databases.ts'
import { type Finding, findingsTable, progressPrinter } from './local/print.ts'
import { Processes } from './local/processes.ts'
import { startRunner } from './local/runner.ts'
import { serveSampleImage } from './local/sample-image.ts'
import { ensureRegistry, scanImage } from './local/scan.ts'
import { openState } from './local/state.ts'
import { ensureKeys } from './local/tenancy.ts'
import { whyNotDone } from './local/why-not-done.ts'
import { migrate, startWorker } from './local/worker.ts'

const USAGE = `usage: npm start -- [IMAGE] [--once] [--port 8787] [--state .harborguard] [--databases auto|sample|official]

Serves HarborGuard on this machine, starts a scanner-runner, scans IMAGE (default: the sample image) and prints its
findings. --once stops everything afterwards; without it the system stays up until Ctrl-C.`

const INTERRUPTED = 130 // as a shell says it

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const say = (line: string) => console.log(line)
const began = Date.now()
const elapsed = () => `${((Date.now() - began) / 1000).toFixed(1)} s`

interface Options {
  image: ImageReference | null
  once: boolean
  port: number
  stateDir: string
  databases: 'auto' | 'sample' | 'official'
}

function parseOptions(): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      once: { type: 'boolean', default: false },
      port: { type: 'string', default: '8787' },
      state: { type: 'string', default: '.harborguard' },
      databases: { type: 'string', default: 'auto' },
    },
  })
  const port = Number(values.port)
  const databases = values.databases as Options['databases']
  if (
    positionals.length > 1 ||
    !(port > 0 && port < 65_536) ||
    !['auto', 'sample', 'official'].includes(databases)
  ) {
    throw new TypeError(USAGE)
  }
  return {
    image: positionals[0] === undefined ? null : readImage(positionals[0]),
    once: values.once,
    port,
    stateDir: resolve(root, values.state),
    databases,
  }
}

function readImage(text: string): ImageReference {
  const reference = parseReference(text)
  if (!reference.ok) throw new TypeError(`${text}: ${reference.message}`)
  return reference
}

/** Brings everything up, does the main job once, and says how it went: an exit code. */
async function main(options: Options, processes: Processes, stopping: AbortSignal): Promise<number> {
  const state = openState(options.stateDir)
  say('Engines:')
  const enginesDir = enginesDirectory()
  const engines = await installEngines(enginesDir, { log: (line) => say(`  ${line}`), signal: stopping })
  stopping.throwIfAborted()
  const grype = engines.find((engine) => engine.name === 'grype')
  const samples =
    options.databases === 'sample' || (options.databases === 'auto' && !(await databasesAreReachable()))
      ? await ensureSampleDatabases(
          join(state.dir, 'sample-databases'),
          grype && 'path' in grype ? grype.path : null,
        )
      : null
  say(
    samples
      ? 'Vulnerability databases: SAMPLE databases of this project.'
      : "Vulnerability databases: the engines' own.",
  )
  if (await migrate(root, state, processes)) say('Migrations applied.')
  const worker = await startWorker(root, state, processes, options.port)
  if (worker.url !== `http://127.0.0.1:${options.port}`)
    say(`Port ${options.port} is in use; taking ${new URL(worker.url).port}.`)
  const { apiKey, runnerKey, isNew } = await ensureKeys(worker.url, state)
  say(`API            ${worker.url}/api  (up after ${elapsed()})`)
  say(`Documentation  ${worker.url}/docs`)
  say(
    isNew
      ? `API key        ${apiKey}  (role admin; kept in ${join(state.dir, 'api-key')})`
      : `API key        in ${join(state.dir, 'api-key')}`,
  )
  await worker.runCron()
  startRunner(
    {
      root,
      stateDir: state.dir,
      workerUrl: worker.url,
      apiKey: runnerKey,
      name: 'runner',
      enginesDir,
      sampleDatabases: samples,
    },
    processes,
  ).once(
    'exit',
    (code) =>
      processes.isStopping ||
      say(`The scanner-runner stopped (code ${code}); see ${join(state.dir, 'runner.log')}`),
  )
  const sample = options.image ? null : await serveSampleImage(state)
  const image = options.image ?? readImage(sample!.image)
  const completed = await mainJob(new Api(worker.url, apiKey), image, stopping)
  if (!options.once) {
    say(
      `\nUp after ${elapsed()}. Try:  curl -H "X-API-Key: $(cat ${join(options.stateDir, 'api-key')})" ${worker.url}/api/vulnerabilities\nCtrl-C stops everything.`,
    )
    await Promise.race([aborted(stopping), worker.died])
  }
  await processes.stopAll()
  await worker.stop()
  await sample?.registry.close()
  return completed || !options.once ? 0 : 1
}

/** Connects the image's registry, scans the image and prints its findings. False when the scan did not complete. */
async function mainJob(api: Api, image: ImageReference, signal: AbortSignal): Promise<boolean> {
  const registryId = await ensureRegistry(api, image)
  say(`\nScanning ${image.canonical}`)
  const scan = await scanImage(api, image.canonical, progressPrinter(process.stdout), { registryId, signal })
  const missing = whyNotDone(scan)
  if (missing) {
    say(missing)
    return false
  }
  const findings = await api.all<Finding>(`/api/scans/${scan.id}/vulnerabilities?limit=200`)
  say(`\n${findingsTable(scan, findings)}`)
  return true
}

/** Settles when the signal is aborted, at once when it was before. */
const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

const processes = new Processes()
const stopping = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!stopping.signal.aborted) say('\nStopping…')
    stopping.abort()
  })
}

/** The exit code: 0 when the main job was done, 1 when it was not, 130 when it was interrupted. */
async function start(): Promise<number> {
  let options: Options
  try {
    options = parseOptions()
  } catch (error) {
    console.error((error as Error).message)
    return 1
  }
  try {
    const done = main(options, processes, stopping.signal)
    await Promise.race([done, aborted(stopping.signal)])
    await processes.stopAll()
    return await done
  } catch (error) {
    if (stopping.signal.aborted) return INTERRUPTED
    console.error(`Not completed: ${(error as Error).message}; see the logs in ${options.stateDir}`)
    return 1
  } finally {
    await processes.stopAll()
  }
}

process.exitCode = await start()
process.exit()
