import type { Context } from '../../context.ts'
import { sendPromised } from '../../db/outbox.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { invalid } from '../../http/problems.ts'
import {
  chooseRegistry,
  formatAuthority,
  type ImageReference,
  parseReference,
} from '../../inventory/images/index.ts'
import { normalizePlatform } from '../../inventory/registries/index.ts'
import { type RegistryPlaceRow, registriesOfHost } from '../registries-of-host.ts'
import type { EngineName } from '../sensors/result.ts'
import { newScan, type Trigger } from './new-scan.ts'

export interface ScanRequest {
  image: string
  scanners: readonly EngineName[]
  platform?: string | null
  registryId?: string | null
  trigger: Trigger
}

/**
 * Asks for a scan: PENDING until the queue has resolved the image. The organization's registry is chosen by
 * host, port and longest path prefix. Throws VALIDATION_ERROR on `image`, `platform` or `registryId`.
 */
export async function requestScan(
  ctx: Context,
  input: ScanRequest,
): Promise<{ scanId: string; status: 'PENDING' }> {
  const reference = parseReference(input.image)
  if (!reference.ok) throw invalid({ path: 'image', message: reference.message })
  const platform = input.platform ? normalizePlatform(input.platform) : null
  if (input.platform && !platform) {
    throw invalid({ path: 'platform', message: 'must be os/architecture, such as linux/amd64' })
  }
  const registry = pick(
    reference,
    await ctx.db.all<RegistryPlaceRow>(registriesOfHost(ctx.organization.num, reference)),
    input.registryId ?? null,
  )
  const scanners = [...new Set(input.scanners)]
  const { repository, tag, canonical: image } = reference
  const scan = newScan(ctx, {
    ...{ image, repository, tag, platform, scanners },
    registryId: registry.id,
    trigger: input.trigger,
  })
  const view = { id: scan.scanId, image, registryId: registry.id, platform, scanners, trigger: input.trigger }
  await ctx.db.batch([
    ...scan.statements,
    auditRow(ctx, ctx.organization.num, 'scan.triggered', `scan:${scan.scanId}`, view),
    ...ctx.rememberReply(scan.scanId, 202),
  ])
  sendPromised(ctx, [scan.promised])
  return { scanId: scan.scanId, status: 'PENDING' }
}

/** An id settles a tie but never sends an image to a registry that does not hold it. */
function pick(
  reference: ImageReference,
  registries: RegistryPlaceRow[],
  registryId: string | null,
): RegistryPlaceRow {
  const named = registryId === null ? registries : registries.filter(({ id }) => id === registryId)
  const choice = chooseRegistry(reference, named)
  if (choice.kind === 'one') return choice.registry
  if (choice.kind === 'tie') {
    const ids = choice.registries.map(({ id }) => id).join(', ')
    throw invalid(
      { path: 'image', message: 'More than one registry fits: choose one with registryId' },
      { path: 'registryId', message: `must be one of ${ids}` },
    )
  }
  if (registryId !== null && chooseRegistry(reference, registries).kind !== 'none') {
    throw invalid({ path: 'registryId', message: 'is not a registry that holds this image' })
  }
  const place = formatAuthority(reference.host, reference.port)
  throw invalid({ path: 'image', message: `No registry for ${place} is connected: connect ${place} first` })
}
