import type { ScanReason } from '../reasons.ts'
import type { JobProgress, Phase } from '../sensors/protocol.ts'
import { pendingEngine, type ScanEngine, skippedEngine } from './engines.ts'

/** A scan's row with the progress of its job, or of its leader's. */
export interface ScanRow {
  id: string
  image: string
  image_id: string | null
  tag_id: string | null
  digest: string | null
  platform: string | null
  scanners: string
  status: 'PENDING' | 'IN_PROGRESS' | 'COMPLETE' | 'FAILED' | 'CANCELLED'
  partial: number
  reason: string | null
  engines: string | null
  critical: number | null
  high: number | null
  medium: number | null
  low: number | null
  unknown: number | null
  compliance: string | null
  risk: number | null
  duration_ms: number | null
  created_at: number
  started_at: number | null
  scanned_at: number | null
  job_phase: Phase | null
  job_progress: number | null
  job_engines: string | null
  job_updated_at: number | null
}

export const SCAN_COLUMNS = `s.id, s.image, s.image_id, s.tag_id, s.digest, s.platform, s.scanners, s.status, s.partial,
  s.reason, s.engines, s.critical, s.high, s.medium, s.low, s.unknown, s.compliance, s.risk, s.duration_ms, s.created_at,
  s.started_at, s.scanned_at, j.phase AS job_phase, j.progress AS job_progress, j.engines AS job_engines,
  j.updated_at AS job_updated_at`

/** The job of a scan that has not ended, its own or its leader's. */
export const SCAN_JOB = `LEFT JOIN jobs j ON s.deadline_at IS NOT NULL AND j.org = s.org AND j.id =
  coalesce(s.job_id, (SELECT l.job_id FROM scans l WHERE l.org = s.org AND l.id = s.leader_id))`

const instant = (time: number | null): string | null => (time === null ? null : new Date(time).toISOString())

/** A scan on the wire, with the engines that it asked for: its leader may have run more. Counts, grade and risk are those of its own moment; null until there are some. */
export function presentScan(row: ScanRow) {
  const engines = enginesOf(row)
  return {
    id: row.id,
    image: row.image,
    imageId: row.image_id,
    tagId: row.tag_id,
    digest: row.digest,
    platform: row.platform,
    status: row.status,
    partial: row.partial === 1 && engines.some(({ status }) => status !== 'succeeded'),
    reason: reasonOf(row),
    compliance: row.compliance,
    riskScore: row.risk,
    counts: countsOf(row),
    duration: row.duration_ms,
    createdAt: instant(row.created_at)!,
    startedAt: instant(row.started_at),
    scannedAt: instant(row.scanned_at),
    engines,
  }
}

function countsOf({ critical, high, medium, low, unknown }: ScanRow) {
  if (critical === null || high === null || medium === null || low === null || unknown === null) return null
  return { critical, high, medium, low, unknown }
}

/**
 * Those asked for (of an upload without a job those reported): as they ended, before that as the job's progress has them. A scan that ended without a result
 * skipped them; one that ended because no runner offers them says so of each.
 */
function enginesOf(row: ScanRow): ScanEngine[] {
  const asked = JSON.parse(row.scanners) as string[]
  if (row.engines !== null) {
    const known = JSON.parse(row.engines) as ScanEngine[]
    return asked.length === 0 ? known : known.filter(({ name }) => asked.includes(name))
  }
  if (row.scanned_at !== null) {
    const why = reasonOf(row)
    return why?.code === 'engine_unavailable'
      ? asked.map((name) => ({ ...pendingEngine(name), status: 'unavailable', reason: why }))
      : asked.map(skippedEngine)
  }
  const progress = JSON.parse(row.job_engines ?? '[]') as JobProgress['engines']
  return asked.map((name) => ({
    ...pendingEngine(name),
    status: progress.find((engine) => engine.name === name)?.status ?? 'pending',
  }))
}

const reasonOf = ({ reason }: ScanRow) => (reason === null ? null : (JSON.parse(reason) as ScanReason))

/** How far a scan is. A scan that waits for its image to be resolved is `resolving`. */
export function presentStatus(row: ScanRow) {
  const hasEnded = row.scanned_at !== null
  const phase: Phase = hasEnded ? 'done' : (row.job_phase ?? 'resolving')
  return {
    id: row.id,
    status: row.status,
    phase,
    progress: hasEnded ? 100 : (row.job_progress ?? 0),
    engines: enginesOf(row),
    updatedAt: instant(row.scanned_at ?? row.job_updated_at ?? row.created_at)!,
  }
}

/** The detail: the scan, the image's layers, and what the runner logged. */
export const presentScanDetail = (row: ScanRow & { layers: string | null; logs: string | null }) => ({
  ...presentScan(row),
  layers: JSON.parse(row.layers ?? '[]') as {
    digest: string
    diffId: string | null
    sizeBytes: number
    command: string | null
  }[],
  logs: JSON.parse(row.logs ?? '[]') as string[],
})
