import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inject } from 'vitest'
import { writeMinbaseImage } from '../../dev/sample/image/minbase-image.ts'
import { until } from './until.ts'

const LIMIT_MS = 12 * 60_000 // what debootstrap is given, and the packing

/** Debian minbase, or why it cannot be made here. Made once: the first file that asks makes it, others wait for it. */
export async function theMinbaseImage(): ReturnType<typeof writeMinbaseImage> {
  const directory = join(inject('system').work, 'minbase')
  const outcome = join(directory, 'outcome.json')
  if (isFirst(directory)) {
    const image = await writeMinbaseImage(join(directory, 'image')).catch((error: Error) => ({
      unavailable: error.message,
    }))
    writeFileSync(`${outcome}.part`, JSON.stringify(image))
    renameSync(`${outcome}.part`, outcome)
  }
  return until(() => (existsSync(outcome) ? JSON.parse(readFileSync(outcome, 'utf8')) : null), LIMIT_MS)
}

/** Of all that ask, one makes the directory. */
function isFirst(directory: string): boolean {
  try {
    mkdirSync(directory)
    return true
  } catch {
    return false
  }
}
