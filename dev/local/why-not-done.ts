import type { Scan } from './scan.ts'

/**
 * Why a scan that ended is not the main job done, in lines for people; null when it is. A scan in which
 * no engine could look for vulnerabilities is not, though it shows those of the last one that could.
 */
export function whyNotDone(scan: Pick<Scan, 'status' | 'reason' | 'engines'>): string | null {
  if (scan.status !== 'COMPLETE')
    return `The scan ended ${scan.status}: ${scan.reason?.code} ${scan.reason?.message}`
  if (scan.engines.some(({ status, database }) => status === 'succeeded' && database)) return null
  const reasons = scan.engines.flatMap(({ name, reason }) =>
    reason ? [`  ${name}: ${reason.code} ${reason.message}`] : [],
  )
  return ['No engine could look for vulnerabilities:', ...reasons].join('\n')
}
