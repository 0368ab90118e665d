import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Makes an empty working directory, HOME and TMPDIR below `directory` and returns the closed environment that
 * names them: engines read configuration files from the first two, so nothing may be lying there.
 */
export async function engineEnvironment(
  directory: string,
): Promise<{ env: Record<string, string>; cwd: string }> {
  const [cwd, home, tmp] = ['cwd', 'home', 'tmp'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  for (const path of [cwd, home, tmp]) await mkdir(path, { recursive: true, mode: 0o700 })
  return { env: { PATH: '/usr/bin:/bin', HOME: home, TMPDIR: tmp, NO_COLOR: '1' }, cwd }
}
