/**
 * Jobs that ask for labels wait in a pool of their own beside the plain one: "cloud#eu,gpu". So a claim stays one
 * index seek for a runner without labels, and one for each set of labels that is waited for otherwise.
 */
const MARK = '#'
/** The character behind MARK: every labelled pool of `p` lies between `p` and `p$`. */
export const BEHIND_MARK = '$'

/** The pool of jobs that ask for these labels, which are sorted. */
export const poolWithLabels = (pool: string, labels: readonly string[]): string =>
  labels.length === 0 ? pool : `${pool}${MARK}${labels.join(',')}`

/** The pool without labels: what runners are known by, and what is told that there is work. */
export const plainPool = (pool: string): string => pool.split(MARK)[0]!

/** Where runners of an organization's own key wait: they may have the jobs of every registry that sensors scan. */
export const poolOfOrganization = (organizationId: string): string => `sensors-of-${organizationId}`

/** The labels that a pool's jobs ask for. */
export const labelsOfPool = (pool: string): string[] => {
  const mark = pool.indexOf(MARK)
  return mark === -1 ? [] : pool.slice(mark + 1).split(',')
}

/** True for a runner that has every label asked for. */
export const hasLabels = (own: readonly string[], asked: readonly string[]): boolean =>
  asked.every((label) => own.includes(label))

/** SQL: the labels behind `base` in `pool`, each of which a runner with the labels of JSON array `own` has. */
export const hasLabelsOfPoolSql = (pool: string, base: string, own: string): string =>
  `NOT EXISTS (SELECT 1 FROM json_each('["' || replace(substr(${pool}, length(${base}) + 2), ',', '","') || '"]') asked
     WHERE asked.value <> '' AND asked.value NOT IN (SELECT value FROM json_each(${own})))`
