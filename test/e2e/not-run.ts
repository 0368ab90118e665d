import { appendFileSync } from 'node:fs'

/** Records a part that this machine cannot run, for the list above the closing line. Where nothing may be left out, throws. */
export function notRun(sentence: string): void {
  if (process.env.HG_REQUIRE_ALL === 'true') throw new Error(`required here, and cannot run: ${sentence}`)
  const file = process.env.HG_NOT_RUN_FILE
  if (file) appendFileSync(file, `${sentence}\n`)
}
