/** Takes the runner's own paths out of what engines print: reports, and what they say when they fail. */
export interface Scrub {
  text(text: string): string
}

/** `places` are [path, what is said instead]. Longer paths go first, so that one inside another is found whole. */
export function createScrub(places: readonly (readonly [string, string])[]): Scrub {
  const ordered = places
    .filter(([path]) => path.length > 1)
    .toSorted(([one], [other]) => other.length - one.length)
    .flatMap(([path, name]) => [[path, name] as const, [encodeURI(path), name] as const])
  return {
    text: (text) => ordered.reduce((clean, [path, name]) => clean.replaceAll(path, name), text),
  }
}
