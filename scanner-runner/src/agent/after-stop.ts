/** A signal that follows `stop` by `graceMs`: what was begun may end, but does not hold a stopping runner for long. */
export function afterStop(stop: AbortSignal, graceMs: number): AbortSignal {
  const controller = new AbortController()
  const arm = () => setTimeout(() => controller.abort(), graceMs).unref()
  if (stop.aborted) arm()
  else stop.addEventListener('abort', arm, { once: true })
  return controller.signal
}
