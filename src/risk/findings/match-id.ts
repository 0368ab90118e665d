/** A new match's key: random in 52 bits, because it is public; never 0. */
export function newMatchId(): number {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2))
  return (high! & 0xfffff) * 2 ** 32 + low! || newMatchId()
}
