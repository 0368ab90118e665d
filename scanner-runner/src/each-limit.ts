/**
 * Runs `work` on every item, at most `limit` at a time. At the first failure no further item is begun and `stop` is
 * called, so that the others can end early; when all have ended, that first failure is rethrown.
 */
export async function eachLimit<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
  stop: () => void = () => {},
): Promise<void> {
  const queue = items.values()
  let failure: { error: unknown } | null = null
  const worker = async () => {
    for (const item of queue) {
      try {
        await work(item)
      } catch (error) {
        if (!failure) {
          failure = { error }
          stop()
        }
      }
      if (failure) return
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker))
  const { error } = (failure as { error: unknown } | null) ?? { error: null }
  if (failure) throw error
}
