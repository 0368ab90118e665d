import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EngineName } from '../../scanner-runner/src/install/engine-manifest.ts'

/**
 * Writes programs of the engines' names that run the engine with the same arguments and environment, and then copy
 * every file that it wrote for a job to `<wordsDir>/<job>/`: the engine's own words, before the runner touches them.
 */
export function writeWitnesses(
  directory: string,
  engines: Partial<Record<EngineName, string>>,
  wordsDir: string,
): void {
  mkdirSync(directory, { recursive: true })
  for (const [name, path] of Object.entries(engines)) {
    writeFileSync(join(directory, name), witness(path, wordsDir), { mode: 0o755 })
  }
}

/** An engine's HOME is `running/<job>/<engine>/home`, and what it writes for the job is in `out` beside it. */
const witness = (path: string, wordsDir: string) => `#!/bin/sh
'${path}' "$@"
code=$?
out="\${HOME%/home}/out"
job="\${HOME%/*/home}"
words="${wordsDir}/\${job##*/}"
if [ -d "$out" ]; then
  mkdir -p "$words"
  cp "$out"/* "$words"/ 2>/dev/null
fi
exit $code
`

/** The directory with the words that engines wrote for a scan, and the name of its job's directory in the runner. */
export function wordsOf(wordsDir: string, scanId: string): { dir: string; job: string } {
  const job = readdirSync(wordsDir).find((name) => name.includes(scanId))
  if (!job) throw new Error(`no engine wrote anything for ${scanId}`)
  return { dir: join(wordsDir, job), job }
}
