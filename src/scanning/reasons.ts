/**
 * The closed catalogue of reasons why a scan or an engine did not do what was asked. Codes are stable; the
 * sentence says what a person can do. Runners may add detail to the message, never a new code.
 */
export const REASONS = {
  // the scan as a whole
  registry_unreachable: 'The registry could not be reached.',
  registry_unauthorized: 'The registry refused the credentials.',
  registry_forbidden: 'The credentials may not pull this image.',
  registry_rate_limited: 'The registry limits how often images may be pulled. Try again later.',
  registry_error: 'The registry answered with an error.',
  registry_invalid_reply: 'The registry answered something that is not the registry protocol.',
  registry_removed: 'The registry was removed while the scan was running.',
  image_not_found: 'The image, tag or digest does not exist in the registry.',
  platform_not_found: 'The image has no manifest for the platform asked for.',
  image_unsupported: 'The image has a format that cannot be scanned.',
  image_corrupt: 'A layer or manifest does not match its digest.',
  image_too_large: 'The image is larger than the runner allows.',
  credentials_unavailable: 'The stored credentials cannot be opened.',
  no_runner: 'No runner took the scan within 24 hours.',
  runner_lost: 'The runner was lost three times while scanning.',
  runner_error: 'The runner failed.',
  disk_full: 'The disk of the runner is full.',
  timeout: 'The scan took longer than 60 minutes.',
  all_engines_failed: 'Every engine failed.',
  dispatch_failed: 'The scan could not be started.',
  ingest_failed: 'The result could not be stored.',
  result_missing: 'The runner reported the scan as completed and uploaded no result.',
  runner_labels_unavailable: 'No live runner has all the labels that the registry asks for.',
  result_invalid: 'The runner uploaded a result that cannot be used.',
  // one engine
  engine_unavailable: 'No live runner offers this engine.',
  engine_failed: 'The engine ended with an error.',
  engine_timeout: 'The engine took too long and was stopped.',
  engine_output_too_large: 'The engine printed more than is accepted.',
  engine_output_invalid: 'The engine printed something that is not its report.',
  engine_wrong_platform: 'The engine scanned another platform than the one asked for.',
  database_unavailable: 'The engine has no usable vulnerability database.',
  database_too_old: "The engine's vulnerability database is too old.",
  database_from_future: "The engine's vulnerability database claims to be built in the future.",
  database_older: 'An older database than that of the last accepted result: recorded, findings unchanged.',
  scan_older: 'A later scan with the same database was stored first: recorded, findings unchanged.',
} as const

export type ReasonCode = keyof typeof REASONS

export interface ScanReason {
  code: ReasonCode
  message: string
}

/** A reason with its catalogue sentence, and detail behind it when there is some. Detail is cut at 500 characters. */
export function reason(code: ReasonCode, detail?: string): ScanReason {
  return { code, message: detail ? `${REASONS[code]} ${detail.slice(0, 500)}` : REASONS[code] }
}

export const isReasonCode = (code: string): code is ReasonCode => Object.hasOwn(REASONS, code)
