import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'

/** Classes that only workerd has; the document needs the routes, not the runtime. */
const WORKERD =
  'data:text/javascript,export class DurableObject {}; export const env = {}; export const exports = {}'

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'cloudflare:workers' ? { url: WORKERD, shortCircuit: true } : next(specifier, context),
  load: (url, context, next) =>
    /\/openapi\/[^/]+\.(yaml|json)$/.test(url)
      ? { format: 'module', source: 'export default ""', shortCircuit: true }
      : next(url, context),
})

const directory = join(dirname(dirname(fileURLToPath(import.meta.url))), 'openapi')
/** The Worker's modules have types of their own (tsconfig.json), so they are loaded by address. */
const load = (path: string) => import(new URL(path, import.meta.url).href)
const { endpoints } = await load('../src/app.ts')
const { documentOf } = await load('../src/http/openapi.ts')
const document = documentOf(endpoints)
const files = {
  'harborguard-v1.json': `${JSON.stringify(document, null, 2)}\n`,
  'harborguard-v1.yaml': stringify(document, { aliasDuplicateObjects: false, lineWidth: 110 }),
}

const isCurrent = (name: string, text: string): boolean => {
  try {
    return readFileSync(join(directory, name), 'utf8') === text
  } catch {
    return false
  }
}

const stale = Object.entries(files).filter(([name, text]) => !isCurrent(name, text))
if (process.argv.includes('--check')) {
  for (const [name] of stale)
    console.error(`openapi/${name} is not what the routes say: npm run openapi, and review the change`)
  process.exitCode = stale.length > 0 ? 1 : 0
} else {
  mkdirSync(directory, { recursive: true })
  for (const [name, text] of stale) writeFileSync(join(directory, name), text)
  console.log(stale.length > 0 ? `written: ${stale.map(([name]) => name).join(', ')}` : 'up to date')
}
