import { execFile } from 'node:child_process'

export interface Check {
  name: string
  command: string
  args: string[]
}

export interface CheckResult {
  name: string
  passed: boolean
  output: string
}

/** What `npm run check` runs, side by side. */
export const CHECKS: Check[] = [
  { name: 'types of the Worker', command: 'tsc', args: ['-p', 'tsconfig.json'] },
  { name: 'types of Node programs', command: 'tsc', args: ['-p', 'tsconfig.node.json'] },
  { name: 'lint and format', command: 'biome', args: ['check', '--error-on-warnings', '.'] },
  { name: 'boundaries', command: 'node', args: ['dev/boundaries.ts'] },
  { name: 'dead code', command: 'knip', args: ['--no-progress'] },
  { name: 'OpenAPI document is the checked-in one', command: 'node', args: ['dev/openapi.ts', '--check'] },
]

export const runChecks = (checks: Check[] = CHECKS): Promise<CheckResult[]> =>
  Promise.all(checks.map(runCheck))

function runCheck({ name, command, args }: Check): Promise<CheckResult> {
  return new Promise((resolve) => {
    execFile(command, args, { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ name, passed: error === null, output: `${stdout}${stderr}`.trim() })
    })
  })
}

export function printCheck({ name, passed, output }: CheckResult): void {
  console.log(`${passed ? '✓' : '✗'} ${name}`)
  if (!passed) console.log(output)
}
