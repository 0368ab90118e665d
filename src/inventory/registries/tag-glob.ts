/**
 * Globs over tags: patterns with commas between them, `*` for any run of characters and `?` for one. Matching is
 * at most pattern times tag in steps, whatever the pattern.
 */
export const MAX_GLOB_LENGTH = 500 // about 20 patterns

/** True for what can match a tag at all. */
export const isTagGlob = (text: string): boolean => /^[A-Za-z0-9_.\-*?, ]*$/.test(text)

/** Whether a tag passes: no filter lets everything through, and an excluded tag never passes. */
export const tagPasses = (tag: string, include: string | null, exclude: string | null): boolean =>
  (include === null || matchesAny(include, tag)) && (exclude === null || !matchesAny(exclude, tag))

const matchesAny = (globs: string, tag: string): boolean =>
  globs.split(',').some((glob) => glob.trim() !== '' && matches(glob.trim(), tag))

/** Goes on after the last star only, so nothing is tried twice. */
function matches(glob: string, tag: string): boolean {
  let [at, from] = [0, 0]
  let star = -1
  let resume = 0
  while (from < tag.length) {
    if (glob[at] === '*') {
      star = at++
      resume = from
    } else if (at < glob.length && (glob[at] === '?' || glob[at] === tag[from])) {
      at++
      from++
    } else if (star >= 0) {
      at = star + 1
      from = ++resume
    } else return false
  }
  while (glob[at] === '*') at++
  return at === glob.length
}
