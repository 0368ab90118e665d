/**
 * The engines (bits) that find a match in an artifact: those with a verdict that have run there and are not
 * excluded. Over aliases `m` matches, `a` artifacts, `v` overrides (left joined). The finding shows when not 0.
 */
export const FINDING_ENGINES_SQL = '(m.engines & a.ran & ~coalesce(v.silent, 0))'

export const VISIBLE_SQL = `${FINDING_ENGINES_SQL} <> 0`

/** The same rule over values. */
export const findingEngines = (engines: number, ran: number, silent: number): number =>
  engines & ran & ~silent
