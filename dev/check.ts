import { printCheck, runChecks } from './checks.ts'

const results = await runChecks()
for (const result of results) printCheck(result)
process.exitCode = results.every((result) => result.passed) ? 0 : 1
