import { ServerRefused } from '../client/request.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Log } from '../log.ts'
import { RUNNER_VERSION } from '../version.ts'

/** The server does not speak with this version of the runner any more. */
export const isTooOld = (error: unknown): boolean =>
  error instanceof ServerRefused && error.code === 'runner_too_old'

/** Says so, and what to do; the exit code that goes with it. */
export function sayTooOld(log: Log): ExitCode {
  log.error('runner_too_old', {
    version: RUNNER_VERSION,
    remedy: 'Install the runner that goes with the server.',
  })
  return EXIT.tooOld
}
