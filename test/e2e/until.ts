const POLL_MS = 100
const LIMIT_MS = 120_000 // a scan of the largest image takes ten seconds on two idle cores

/** Asks again and again until there is an answer. Rejects when there is none within the limit. */
export async function until<T>(ask: () => Promise<T | null> | T | null, limitMs = LIMIT_MS): Promise<T> {
  const deadline = Date.now() + limitMs
  for (;;) {
    const answer = await ask()
    if (answer !== null) return answer
    if (Date.now() > deadline) throw new Error(`nothing within ${limitMs / 1000} s`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
