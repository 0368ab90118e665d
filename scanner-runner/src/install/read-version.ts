import { tmpdir } from 'node:os'
import type { EngineName } from './engine-manifest.ts'
import { runCommand } from './run-command.ts'

const VERSION_TIMEOUT_MS = 15_000 // a cold start of a 175 MB program from a slow disk

const ARGUMENTS: Record<EngineName, readonly string[]> = {
  trivy: ['version', '--format', 'json'],
  grype: ['version', '--output', 'json'],
  syft: ['version', '--output', 'json'],
}

/** The version that the program says it is (`0.76.0`), or null where it says none. It looks for no update meanwhile. */
export async function readVersion(name: EngineName, path: string): Promise<string | null> {
  const env = {
    TRIVY_SKIP_VERSION_CHECK: 'true',
    TRIVY_DISABLE_TELEMETRY: 'true',
    GRYPE_CHECK_FOR_APP_UPDATE: 'false',
    SYFT_CHECK_FOR_APP_UPDATE: 'false',
  }
  const result = await runCommand(path, ARGUMENTS[name], {
    timeoutMs: VERSION_TIMEOUT_MS,
    cwd: tmpdir(),
    env,
  })
  return result.ok ? versionIn(result.stdout) : null
}

/** The version in an engine's own JSON. Trivy calls it `Version`, the others `version`. */
export function versionIn(output: string): string | null {
  try {
    const stated = JSON.parse(output) as { Version?: unknown; version?: unknown }
    const version = stated.Version ?? stated.version
    return typeof version === 'string' && /^v?\d+\.\d+\.\d+/.test(version) ? version.replace(/^v/, '') : null
  } catch {
    return null
  }
}
