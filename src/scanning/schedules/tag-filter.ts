/** Whether a registry's filters admit a tag: globs with `*` and `?`, several separated by commas. */
export function matchesTag(tag: string, include: string | null, exclude: string | null): boolean {
  const included = globs(include)
  return (
    (included.length === 0 || included.some((glob) => matches(glob, tag))) &&
    !globs(exclude).some((glob) => matches(glob, tag))
  )
}

const globs = (list: string | null): string[] =>
  (list ?? '')
    .split(',')
    .map((glob) => glob.trim())
    .filter((glob) => glob !== '')

/** Linear in the lengths, whatever the pattern: the last `*` is the only place to go back to. */
function matches(glob: string, text: string): boolean {
  let at = 0
  let star = -1
  let mark = 0
  let i = 0
  while (i < text.length) {
    if (at < glob.length && (glob[at] === '?' || glob[at] === text[i]) && glob[at] !== '*') {
      at++
      i++
    } else if (glob[at] === '*') {
      star = at++
      mark = i
    } else if (star !== -1) {
      at = star + 1
      i = ++mark
    } else return false
  }
  while (glob[at] === '*') at++
  return at === glob.length
}
