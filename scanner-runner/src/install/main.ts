import { parseArgs } from 'node:util'
import { enginesDirectory } from './engines-directory.ts'
import { ALL_SOURCES, installEngines } from './install-engines.ts'
import type { EngineSource } from './installed-engine.ts'

const USAGE = `usage: node scanner-runner/src/install/main.ts [--to DIR] [--sources ${ALL_SOURCES.join(',')}]`
const EXIT = { all: 0, usage: 2, someMissing: 3 } as const

/** Installs the engines and prints what came from where. Exit code 3: at least one could not be had. */
async function main(): Promise<number> {
  const parsed = parse()
  if (!parsed) {
    console.error(USAGE)
    return EXIT.usage
  }
  const startedAt = Date.now()
  const results = await installEngines(parsed.directory, {
    sources: parsed.sources,
    log: (line) => console.log(line),
  })
  console.log(`Engines checked in ${((Date.now() - startedAt) / 1000).toFixed(1)} s.`)
  return results.some((result) => 'unavailable' in result) ? EXIT.someMissing : EXIT.all
}

function parse(): { directory: string; sources: EngineSource[] } | null {
  try {
    const { values } = parseArgs({ options: { to: { type: 'string' }, sources: { type: 'string' } } })
    const asked = values.sources?.split(',') ?? [...ALL_SOURCES]
    const sources = ALL_SOURCES.filter((source) => asked.includes(source))
    if (sources.length !== asked.length) return null
    return { directory: values.to ?? enginesDirectory(), sources }
  } catch {
    return null
  }
}

process.exitCode = await main()
