import type { BaseContext } from '../context.ts'
import { scanViewers } from '../db/objects.ts'
import type { Env } from '../env.ts'

/** Says that scans or jobs of an organization changed. */
export type TellViewers = (org: number, ids: readonly (string | null)[]) => void

/** Wakes the streams that show these scans or jobs, after the reply. Losing it harms nothing: they look by themselves. */
export function tellViewers(
  { env, defer }: Pick<BaseContext, 'env' | 'defer'>,
  org: number,
  ids: readonly (string | null)[],
): void {
  const named = [...new Set(ids)].filter((id) => id !== null)
  if (named.length > 0) defer(tell(env, org, named))
}

const tell = async (env: Env, org: number, ids: readonly string[]): Promise<void> =>
  scanViewers(env, org).changed(ids)
