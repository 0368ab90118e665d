import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Changes when a file directly in one of these folders of the project changes, appears, goes or is renamed. */
export function fingerprint(root: string, folders: readonly string[]): string {
  const hash = createHash('sha256')
  for (const folder of folders) {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true }).sort(byName)) {
      if (!entry.isFile()) continue
      const content = readFileSync(join(root, folder, entry.name))
      hash.update(`${folder}/${entry.name}\0${content.length}\0`).update(content)
    }
  }
  return hash.digest('hex')
}

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
