import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'

const TIMEOUT_MS = 60_000 // bundling takes about two seconds

export interface BundleSize {
  /** Bytes of what would be uploaded as the Worker's code, assets apart. */
  raw: number
  gzip: number
}

/** Builds what `wrangler deploy` would upload, into `outdir`, and measures it. */
export async function measureBundle(root: string, outdir: string): Promise<BundleSize> {
  await promisify(execFile)('wrangler', ['deploy', '--dry-run', '--outdir', outdir], {
    ...{ cwd: root, timeout: TIMEOUT_MS, env: { ...process.env, CI: 'true' } },
  })
  const uploaded = readdirSync(outdir).filter((file) => !file.endsWith('.map') && file !== 'README.md')
  const contents = uploaded.map((file) => readFileSync(join(outdir, file)))
  const sum = (sizes: number[]) => sizes.reduce((total, size) => total + size, 0)
  return {
    raw: sum(contents.map((content) => content.length)),
    gzip: sum(contents.map((content) => gzipSync(content).length)),
  }
}
