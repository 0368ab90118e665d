import type { Context } from '../../context.ts'
import { type Statement, statement } from '../../db/database.ts'
import { raw } from '../../db/sql.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { derivedId } from '../../ids.ts'
import { insertRegistry } from './create.ts'
import { presentRegistry } from './present.ts'
import type { RegistryRow } from './table.ts'

/**
 * The registry where uploads lie whose image is of no connected one: one an organization, made at first use by
 * whichever batch comes first. It has no address, so that no reference leads to it and nothing of it is pulled; its
 * images are named by their full references.
 */
export async function uploadsRegistry(
  ctx: Pick<Context, 'actor' | 'ip' | 'now'>,
  org: number,
): Promise<{ id: string; host: ''; statements: Statement[] }> {
  const row: RegistryRow = {
    id: await derivedId('registry', `uploads ${org}`),
    ...{
      num: 0,
      org,
      name: 'uploads',
      provider: 'CUSTOM',
      url: '',
      host: '',
      pathPrefix: '',
      insecure: false,
    },
    ...{ credentials: null, dek: null, kekVersion: null },
    ...{ scanMethod: 'sensor', scanners: ['trivy', 'grype', 'syft'], schedule: 'manual' },
    ...{ includeTags: null, excludeTags: null, runnerLabels: [], status: 'ACTIVE', statusReason: null },
    imageCount: 0,
    ...{ nextRunAt: null, syncState: 'idle', syncCursor: null, syncStartedAt: null, syncedAt: null },
    ...{ createdAt: ctx.now, updatedAt: ctx.now },
  }
  const insert = insertRegistry(row)
  return {
    id: row.id,
    host: '',
    statements: [
      statement(`${insert.sql} WHERE true ON CONFLICT (id) DO NOTHING`, ...insert.params),
      auditRow(ctx, org, 'registry.added', `registry:${row.id}`, presentRegistry(row), raw('changes() = 1')),
    ],
  }
}
