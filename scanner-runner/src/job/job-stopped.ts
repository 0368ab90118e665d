/** Why a job ends before its time: asked by a person, taken by another runner, handed back, or out of time. */
export type StopKind = 'cancelled' | 'lease_lost' | 'released' | 'timeout'

/** The abort reason of a job's signal. */
export class JobStopped extends Error {
  override name = 'JobStopped'
  readonly kind: StopKind

  constructor(kind: StopKind) {
    super(`the job was stopped: ${kind}`)
    this.kind = kind
  }
}

/** The reason that a job's signal was aborted with, or null when it was not. */
export function stopKind(signal: AbortSignal): StopKind | null {
  if (!signal.aborted) return null
  return signal.reason instanceof JobStopped ? signal.reason.kind : 'timeout'
}
