/** Readers of query parameters: pure, from text to a value or to the sentence that says what is wrong. */

export type FilterReader<Value> = (text: string) => { value: Value } | { issue: string }

const MAX_TEXT_CHARS = 512 // the longest package name that is stored

/** One of the offered words, whatever the case. `aliases` are other spellings of them. */
export const oneOf =
  <Word extends string>(
    offered: readonly Word[],
    aliases: Record<string, NoInfer<Word>> = {},
  ): FilterReader<Word> =>
  (text) => {
    const wanted = text.trim().toUpperCase()
    const word =
      offered.find((candidate) => candidate.toUpperCase() === wanted) ??
      Object.entries(aliases).find(([alias]) => alias.toUpperCase() === wanted)?.[1]
    return word === undefined ? { issue: `must be one of ${offered.join(', ')}` } : { value: word }
  }

/** A comma list of offered words, read as "or". Without repetition, in the offered order. */
export const manyOf =
  <Word extends string>(
    offered: readonly Word[],
    aliases: Record<string, NoInfer<Word>> = {},
  ): FilterReader<Word[]> =>
  (text) => {
    const read = text.split(',').map(oneOf(offered, aliases))
    const words = new Set(read.flatMap((one) => ('value' in one ? [one.value] : [])))
    return read.every((one) => 'value' in one)
      ? { value: offered.filter((word) => words.has(word)) }
      : { issue: `must be a comma list of ${offered.join(', ')}` }
  }

/** Text without the blanks around it, up to `maxChars`. */
export const text =
  (maxChars = MAX_TEXT_CHARS): FilterReader<string> =>
  (given) => {
    const value = given.trim()
    if (value === '' || value.includes('\0')) return { issue: 'must hold visible characters' }
    return value.length <= maxChars ? { value } : { issue: `must have at most ${maxChars} characters` }
  }

/** `true` or `false`. */
export const flag = (): FilterReader<boolean> => (given) =>
  given === 'true' || given === 'false' ? { value: given === 'true' } : { issue: 'must be true or false' }

/** A whole number within bounds, ends included. */
export const integer =
  (min: number, max: number): FilterReader<number> =>
  (given) => {
    const value = /^-?\d{1,15}$/.test(given) ? Number(given) : Number.NaN
    return value >= min && value <= max
      ? { value }
      : { issue: `must be a whole number from ${min} to ${max}` }
  }
