import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { printCheck, runChecks } from './checks.ts'

/** The suites in order: the fast ones first. Each is a vitest configuration. */
const SUITES = [
  { name: 'pure and Node', config: 'vitest.node.config.ts' },
  { name: 'behaviour, contract and protocol (workerd)', config: 'vitest.config.ts' },
  { name: 'OpenAPI document (schemathesis)', config: 'vitest.openapi.config.ts' },
  { name: 'end to end', config: 'vitest.e2e.config.ts' },
]

interface Tally {
  passed: number
  failed: number
}

/** Runs one suite; a suite that could not run at all counts as one failure. */
async function runSuite(config: string, work: string): Promise<Tally> {
  const file = join(work, `${config}.json`)
  const code = await new Promise<number | null>((resolve) => {
    const args = [
      'run',
      '--config',
      config,
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${file}`,
    ]
    const child = spawn('vitest', args, {
      stdio: 'inherit',
      env: { ...process.env, HG_NOT_RUN_FILE: join(work, 'not-run') },
    })
    child.once('exit', resolve)
    child.once('error', () => resolve(1))
  })
  if (!existsSync(file)) return { passed: 0, failed: 1 }
  const report = JSON.parse(readFileSync(file, 'utf8')) as {
    numPassedTests: number
    numFailedTests: number
    numFailedTestSuites: number
  }
  const failed = report.numFailedTests || report.numFailedTestSuites || (code === 0 ? 0 : 1)
  return { passed: report.numPassedTests, failed }
}

const work = mkdtempSync(join(tmpdir(), 'harborguard-test-'))
const only = process.argv.slice(2)
const tally: Tally = { passed: 0, failed: 0 }
try {
  if (only.length === 0 || only.includes('check')) {
    console.log('check')
    for (const result of await runChecks()) {
      printCheck(result)
      tally[result.passed ? 'passed' : 'failed']++
    }
  }
  for (const { name, config } of SUITES) {
    if (only.length > 0 && !only.some((word) => name.includes(word))) continue
    console.log(`\n${name}`)
    const { passed, failed } = await runSuite(config, work)
    tally.passed += passed
    tally.failed += failed
  }
  const notRun = join(work, 'not-run')
  if (existsSync(notRun)) console.log(`\nNot run here:\n${readFileSync(notRun, 'utf8').trim()}`)
} finally {
  rmSync(work, { recursive: true, force: true })
}
console.log(`\n${tally.passed} passed, ${tally.failed} failed`)
process.exitCode = tally.failed === 0 && tally.passed > 0 ? 0 : 1
