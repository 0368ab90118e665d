import { join } from 'node:path'
import type { EngineManifest, EngineName, PlatformKey } from './engine-manifest.ts'
import { fileSha256 } from './file-sha256.ts'
import type { Obtained } from './installed-engine.ts'
import { runCommand } from './run-command.ts'

const BUILD_TIMEOUT_MS = 40 * 60_000 // eight times what two cores took
const QUERY_TIMEOUT_MS = 30_000
const STILL_BUILDING_MS = 60_000

/**
 * Compiles the program from Go's module proxy. Verified by the module's pinned sum, which the program carries, and with
 * the recorded toolchain also by the program's own. Go's caches stay where the machine keeps them.
 */
export async function fromGo(
  name: EngineName,
  manifest: EngineManifest,
  platform: PlatformKey,
  work: string,
  log: (sentence: string) => void,
  signal?: AbortSignal,
): Promise<Obtained> {
  const { go } = manifest
  if (!go) return { refused: 'the Go module proxy does not serve its versions' }
  const toolchain = await runCommand('go', ['version'], { timeoutMs: QUERY_TIMEOUT_MS, cwd: work })
  if (!toolchain.ok) return { refused: `there is no Go to compile it with (${toolchain.problem})` }
  log(`${name}: compiling ${manifest.version} with Go, about ${go.coldMinutes} minutes the first time`)
  const startedAt = Date.now()
  const progress = setInterval(() => {
    log(`${name}: still compiling, ${Math.round((Date.now() - startedAt) / 1000)} s so far`)
  }, STILL_BUILDING_MS)
  const env = { CGO_ENABLED: '0', GOFLAGS: '-p=2 -trimpath -buildvcs=false', GOBIN: work, GOAMD64: 'v1' }
  const args = ['install', '-ldflags', go.ldflags, `${go.package}@${go.version}`]
  const built = await runCommand('go', args, { timeoutMs: BUILD_TIMEOUT_MS, cwd: work, env, signal })
  clearInterval(progress)
  if (!built.ok) return { refused: `go install failed (${built.problem})` }
  const path = join(work, name)
  return verifyBuild(go, platform, path)
}

async function verifyBuild(
  go: NonNullable<EngineManifest['go']>,
  platform: PlatformKey,
  path: string,
): Promise<Obtained> {
  const information = await runCommand('go', ['version', '-m', path], { timeoutMs: QUERY_TIMEOUT_MS })
  if (!information.stdout.includes(`\tmod\t${go.module}\t${go.version}\t${go.moduleSum}\n`)) {
    return { refused: `the compiled program does not carry the pinned sum of ${go.module} ${go.version}` }
  }
  const sha256 = (await fileSha256(path))!
  const toolchain = information.stdout.split('\n')[0]?.split(': ').at(-1)?.trim()
  const expected = go.binaries.find(
    (binary) => binary.toolchain === toolchain && binary.platform === platform,
  )
  if (expected && expected.sha256 !== sha256) {
    return { refused: `the program compiled by ${toolchain} does not have the pinned sha256` }
  }
  return { path, sha256 }
}
