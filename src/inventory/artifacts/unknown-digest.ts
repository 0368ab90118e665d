/**
 * `artifacts.digest` of an image that was scanned under a tag while neither server nor sensor knew its manifest's
 * digest: one artifact a tag. No digest has this form, and none is ever shown for it.
 */
export const unknownDigestKey = (tag: string): string => `tag:${tag}`

/** A stored digest as it is shown: null where it stands for a tag. */
export const shownDigest = (stored: string | null): string | null =>
  stored?.startsWith('sha256:') ? stored : null

/** `artifacts.platform` where nobody said which one was scanned. */
export const UNKNOWN_PLATFORM = 'unknown'
