import { resolve } from 'node:path'
import { askHealth } from './agent/work-directory.ts'

// Exit code 0 while the runner of this work directory hears from its server, 1 otherwise.
try {
  process.chdir(resolve(process.env.HG_WORK_DIR || '/workspace'))
  const health = await askHealth()
  process.stdout.write(`${JSON.stringify(health)}\n`)
  process.exitCode = health?.healthy ? 0 : 1
} catch {
  process.exitCode = 1
}
