import { EXPECT_ONE_CHANGE, type Param, type Statement, statement } from '../../db/database.ts'
import { FINDING_ENGINES, type Result } from '../../scanning/sensors/result.ts'
import { type PerEngine, perEngine } from './engines.ts'
import { type Counts, gradeOf, riskOf } from './grade.ts'
import { afterwards } from './plan.ts'
import type { StateHead } from './state.ts'

/** What an accepted result makes of an artifact: builds of its engines, findings by severity, packages linked. */
export interface ArtifactAfter {
  builds: Partial<PerEngine<number>>
  counts: Counts
  packages: number
}

/** The artifact's own row: outputs, counters, what the image says of itself. One row. */
export function artifactStatements(
  org: number,
  head: StateHead,
  { builds, counts, packages }: ArtifactAfter,
  scan: { scanId: string; scannedAt: number; image: Result['image'] },
): Statement[] {
  const { artifact } = head
  const last = perEngine((engine) =>
    builds[engine] === undefined
      ? artifact.last[engine]
      : { build: builds[engine], scannedAt: scan.scannedAt },
  )
  const after = afterwards(head, builds)
  const ran = after.ran !== 0
  const set: Record<string, Param> = {
    ...(after.ran === artifact.ran ? {} : { ran: after.ran }), // indexed: assigned only where it changes
    packages,
    critical: ran ? counts.critical : null,
    high: ran ? counts.high : null,
    medium: ran ? counts.medium : null,
    low: ran ? counts.low : null,
    unknown: ran ? counts.unknown : null,
    cvss_sum: ran ? counts.cvssSum : null,
    cvss_count: ran ? counts.cvssCount : null,
    grade: ran ? gradeOf(counts) : null,
    risk: ran ? riskOf(counts) : null,
    last_scan_id: scan.scanId,
    ...Object.fromEntries(
      FINDING_ENGINES.flatMap((e) => [
        [`${e}_build`, last[e].build],
        [`${e}_at`, last[e].scannedAt],
      ]),
    ),
    ...(artifact.live ? {} : { live: 1 }), // indexed too
    ...imageColumns(scan.image),
  }
  const was = FINDING_ENGINES.flatMap((e) => [artifact.last[e].build, artifact.last[e].scannedAt])
  const assigned = Object.keys(set).map((column, index) => `${column} = ?${index + 1}`)
  const next = assigned.length
  const expected = FINDING_ENGINES.flatMap((e) => [`${e}_build`, `${e}_at`]).map(
    (c, i) => `${c} IS ?${next + 6 + i}`,
  )
  return [
    statement(
      `UPDATE artifacts SET ${assigned.join(', ')}, scanned_at = max(coalesce(scanned_at, 0), ?${next + 1})
       WHERE id = ?${next + 2} AND org = ?${next + 3} AND ran = ?${next + 4} AND live = ?${next + 5}
         AND ${expected.join(' AND ')}`,
      ...Object.values(set),
      scan.scannedAt,
      artifact.id,
      org,
      artifact.ran,
      artifact.live ? 1 : 0,
      ...was,
    ),
    EXPECT_ONE_CHANGE,
  ]
}

const MAX_COMMAND_CHARACTERS = 1000 // 500 layers stay below D1's 2 MB a value

function imageColumns(image: Result['image']): Record<string, Param> {
  if (!image) return {}
  const layers = image.layers.map((layer) => ({
    ...layer,
    command: layer.command?.slice(0, MAX_COMMAND_CHARACTERS) ?? null,
  }))
  return {
    os: image.os && JSON.stringify(image.os),
    size_bytes: image.sizeBytes,
    layers: JSON.stringify(layers),
  }
}
