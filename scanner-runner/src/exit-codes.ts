/** What the process's exit code means. Documented in README.md; supervisors may rely on it. */
export const EXIT = {
  /** Stopped by SIGTERM or SIGINT; every job finished or was handed back. */
  stopped: 0,
  /** A defect of the runner itself. */
  crashed: 1,
  /** The environment, the key file or the sample databases cannot be used; a restart changes nothing. */
  configuration: 2,
  /** The server refused the API key or the registration. */
  refused: 3,
  /** The work directory cannot be written, or another runner uses it. */
  workDirectory: 4,
  /** The server needs a newer runner; a restart changes nothing. */
  tooOld: 5,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]
