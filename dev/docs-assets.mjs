// Puts the documentation page's library beside the Worker: `public/` holds these files of swagger-ui-dist and
// nothing else, so a deployment uploads nothing else.
import { copyFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FILES = ['swagger-ui-bundle.js', 'swagger-ui.css', 'favicon-32x32.png']

const root = dirname(dirname(fileURLToPath(import.meta.url)))

export function copyDocsAssets() {
  const target = join(root, 'public', 'docs')
  mkdirSync(target, { recursive: true })
  for (const file of FILES)
    copyFileSync(join(root, 'node_modules', 'swagger-ui-dist', file), join(target, file))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) copyDocsAssets()
