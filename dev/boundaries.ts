import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const SPINE = ['http', 'auth', 'crypto', 'db', 'net']
const SPINE_FILES = ['context.ts', 'env.ts', 'ids.ts', 'log.ts']
const PROTOCOL = [
  'src/scanning/sensors/protocol.ts',
  'src/scanning/sensors/result.ts',
  'src/scanning/reasons.ts',
]
/** What runner and Worker share beside the protocol: engines' reports become packages and findings the same way in both. */
const NORMALISERS = 'src/scanning/normalise/index.ts'
const BINDING =
  /\benv\.(?:DIRECTORY|SHARD_\w+|ARTIFACTS|ASSETS|WORK|RATE_LIMITS|RUNNER_POOLS|SCAN_VIEWERS|METRICS)\b|env\[`SHARD_/
const IMPORT = /^(import|export)\s+(type\s)?[^'"]*?from\s+['"](\.[^'"]+)['"]|^import\s+['"](\.[^'"]+)['"]/gm

export interface Source {
  /** Path from the repository's root. */
  path: string
  text: string
}

interface Import {
  from: string
  to: string
  typeOnly: boolean
}

/** Every violation of the boundaries that README.md names, as sentences; none is the rule. */
export function boundaryViolations(sources: Source[]): string[] {
  return sources.flatMap((source) => [
    ...importsOf(source).flatMap((edge) => violation(edge) ?? []),
    ...(source.path.startsWith('src/') && !source.path.startsWith('src/db/') && BINDING.test(source.text)
      ? [`${source.path} reaches a binding: only src/db does`]
      : []),
  ])
}

function importsOf({ path, text }: Source): Import[] {
  return [...text.matchAll(IMPORT)].map(([, , type, named, bare]) => ({
    from: path,
    to: relative('/', resolve('/', dirname(path), (named ?? bare)!)),
    typeOnly: Boolean(type),
  }))
}

function violation({ from, to, typeOnly }: Import): string | null {
  const says = (rule: string) => `${from} imports ${to}: ${rule}`
  const isShared = PROTOCOL.includes(to) || to === NORMALISERS
  if (from.startsWith('scanner-runner/src/') && to.startsWith('src/') && !isShared) {
    return says('the runner takes only the protocol and the normalisers from the Worker')
  }
  if (!from.startsWith('src/')) return null
  if (!to.startsWith('src/'))
    return to.startsWith('openapi/') ? null : says('the Worker imports nothing from outside src')
  const [fromFeature, toFeature] = [featureOf(from), featureOf(to)]
  if (isSpine(from) && toFeature && !typeOnly) return says('the spine imports no feature')
  if (!toFeature || fromFeature === toFeature || from === 'src/env.ts') return null
  const isTable = to.endsWith('/table.ts') && from.endsWith('/table.ts')
  if (to.endsWith('/index.ts') || PROTOCOL.includes(to) || isTable) return null
  const sharedOfArea = to.split('/').length === 3
  return sharedOfArea || isRoot(from) ? null : says('a feature is reached through its index.ts')
}

/** `area/feature` of a file in a feature folder, else null. */
function featureOf(path: string): string | null {
  const [, area, feature] = path.split('/')
  if (!area || !feature || SPINE.includes(area) || feature.endsWith('.ts')) return null
  return `${area}/${feature}`
}

const isSpine = (path: string): boolean =>
  SPINE.includes(path.split('/')[1]!) || SPINE_FILES.some((file) => path === `src/${file}`)

const isRoot = (path: string): boolean => path.split('/').length === 2

export function readSources(root: string): Source[] {
  return ['src', 'scanner-runner/src'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => ({ path: join(folder, file), text: readFileSync(join(root, folder, file), 'utf8') })),
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const violations = boundaryViolations(readSources(process.cwd()))
  for (const line of violations) console.error(line)
  process.exitCode = violations.length > 0 ? 1 : 0
}
