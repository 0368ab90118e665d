import type { Context } from '../../context.ts'
import { statement } from '../../db/database.ts'
import { jsonChunks } from '../../db/json-chunks.ts'
import { identityOf, type PackageContext, type PackageIdentity } from './package-key.ts'

const LINKED = `SELECT DISTINCT p.id, p.name, p.version, p.type, p.context FROM json_each(?3) j
  CROSS JOIN packages p INDEXED BY packages_key ON p.org = ?1 AND p.name = j.value ->> 0 AND p.version = j.value ->> 1
  CROSS JOIN artifact_packages ap ON ap.org = ?1 AND ap.artifact = ?2 AND ap.package = p.id
  ORDER BY p.id`

interface Row {
  name: string
  version: string
  type: string
  context: string
}

/** The packages of an artifact that have one of these names and versions. One round trip; one row for each and for each of its links. */
export async function linkedPackages(
  ctx: Context,
  artifact: number,
  named: readonly (readonly [name: string, version: string])[],
): Promise<PackageIdentity[]> {
  const org = ctx.organization.num
  const pages = await ctx.db.batch(
    jsonChunks(named).map(({ json }) => statement(LINKED, org, artifact, json)),
  )
  return pages.flatMap(({ rows }) =>
    (rows as unknown as Row[]).map((row) =>
      identityOf({ ...row, context: JSON.parse(row.context) as PackageContext }),
    ),
  )
}
