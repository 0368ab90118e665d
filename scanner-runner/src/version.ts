import manifest from '../package.json' with { type: 'json' }

/** The runner's own version, as sent at registration and in every result. */
export const RUNNER_VERSION: string = manifest.version
export const USER_AGENT = `harborguard-runner/${RUNNER_VERSION}`
