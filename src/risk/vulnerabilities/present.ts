import { shownDigest } from '../../inventory/artifacts/index.ts'
import { FINDING_ENGINES } from '../../scanning/sensors/result.ts'
import { ENGINE_BIT, presentMatch } from '../findings/index.ts'
import type { AffectedImageRow } from './images.ts'
import type { VulnerabilityRow } from './read.ts'

const instant = (time: number | null) => (time === null ? null : new Date(time).toISOString())

export const presentVulnerability = (row: VulnerabilityRow) => ({
  ...presentMatch(row),
  title: row.title,
  description: row.description,
  links: row.links,
  cwes: row.cwes,
  publishedAt: instant(row.publishedAt),
  modifiedAt: instant(row.modifiedAt),
})

export const presentAffectedImage = (row: AffectedImageRow) => ({
  image: { id: row.imageId, name: row.imageName },
  tag: row.tag,
  digest: shownDigest(row.digest),
  platform: row.platform,
  layer: row.layer,
  path: row.path,
  since: new Date(row.since).toISOString(),
  carried: carried(row),
})

/**
 * The engine and build that a finding was carried from: where every engine's verdict is newer than that
 * engine's last scan there, the artifact's own scans have neither confirmed nor denied it.
 */
function carried({ found, first, built }: AffectedImageRow) {
  const engines = FINDING_ENGINES.flatMap((engine, index) =>
    found & ENGINE_BIT[engine] ? [{ engine, first: first[index] ?? null, built: built[index] ?? null }] : [],
  )
  const isOwn = engines.some(({ first, built }) => first !== null && built !== null && first <= built)
  const [source] = engines
  if (isOwn || !source || source.first === null) return null
  return { engine: source.engine, builtAt: new Date(source.first).toISOString() }
}
