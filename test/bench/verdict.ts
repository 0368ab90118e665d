import type { D1Database } from '@cloudflare/workers-types'
import type { Result } from '../../src/scanning/sensors/result.ts'
import { buildOf, scanAll } from './seed.ts'
import type { BenchServer } from './server.ts'
import { aTenant, json, type Tenant, until } from './tenant.ts'
import { fleetOf, fleetResult, repositoryOf, tagOf } from './world.ts'

const COPIES_AT_ONCE = 500
const VERDICT = 'CVE-2026-99999'

export interface VerdictFigure {
  holders: number
  /** From the end of the scan that brought it until the list showed it with every holder counted. */
  listedMs: number
  /** From the same moment until the counters of every holder were right. */
  countedMs: number
  /** Messages that counted, and what all of them wrote. */
  messages: number
  rowsWritten: number
}

/**
 * One scan brings a verdict on a package that so many live artifacts hold. Two artifacts go through the endpoints;
 * the other holders are copies of the rows of one of them, counters included.
 */
export async function measureVerdict(
  server: BenchServer,
  holders: number,
  now: number,
): Promise<VerdictFigure> {
  const tenant = await aTenant(server, 'Verdict')
  const [copied, scanned] = fleetOf(0, 1)
  await scanAll(server, tenant, [copied!, scanned!], buildOf(now, 0))
  const db = await server.database(tenant.shard)
  await copyArtifact(db, tenant, tagOf(copied!), holders - 2)
  await tenant.requestScans([`${repositoryOf(scanned!)}:${tagOf(scanned!)}`])
  const known = server.messageCosts().length
  const before = await totalOf(db, tenant)
  await tenant.deliver(await tenant.claim(), withVerdict(fleetResult(scanned!, buildOf(now, 1))))
  const ended = performance.now()
  await until('the verdict in the list', async () => {
    const [match] = json(await tenant.get(`/api/vulnerabilities?cveId=${VERDICT}`)).data
    return match?.affectedCount === holders ? true : null
  })
  const listedMs = performance.now() - ended
  await until('right counters', async () => ((await totalOf(db, tenant)) === before + holders ? true : null))
  const countedMs = performance.now() - ended
  const counting = server
    .messageCosts()
    .slice(known)
    .filter(({ kind }) => kind === 'artifacts.recount')
  return {
    ...{ holders, listedMs, countedMs, messages: counting.length },
    rowsWritten: counting.reduce((sum, cost) => sum + cost.rowsWritten, 0),
  }
}

/** The first package, one of the base image, gets one more finding. */
function withVerdict(result: Result): Result {
  const [text] = result.vulnerabilities
  const [finding] = result.findings
  const vulnerability = result.vulnerabilities.length
  return {
    ...result,
    vulnerabilities: [...result.vulnerabilities, { ...text!, id: VERDICT, aliases: [] }],
    findings: [...result.findings, { ...finding!, package: 0, vulnerability, reportedId: VERDICT }],
  }
}

const totalOf = async (db: D1Database, { num }: Tenant): Promise<number> =>
  (await db
    .prepare('SELECT sum(critical + high + medium + low + unknown) AS n FROM artifacts WHERE org = ?')
    .bind(num)
    .first<{ n: number }>())!.n

async function copyArtifact(db: D1Database, { num }: Tenant, tag: string, copies: number): Promise<void> {
  const row = await db
    .prepare('SELECT a.* FROM tags t JOIN artifacts a ON a.id = t.artifact WHERE t.org = ? AND t.name = ?')
    .bind(num, tag)
    .first<Record<string, unknown> & { id: number }>()
  const columns = Object.keys(row!).filter((name) => !['id', 'digest'].includes(name))
  const highest = await db.prepare('SELECT max(id) AS id FROM artifacts').first<{ id: number }>()
  const numbers = `WITH RECURSIVE copies(n) AS (SELECT ?2 UNION ALL SELECT n + 1 FROM copies WHERE n < ?2 + ?3 - 1)`
  for (let done = 0; done < copies; done += COPIES_AT_ONCE) {
    const bound = [row!.id, highest!.id + 1 + done, Math.min(COPIES_AT_ONCE, copies - done)]
    await db.batch(
      [
        `${numbers} INSERT INTO artifacts (id, digest, ${columns.join(', ')})
          SELECT n, 'sha256:' || printf('%064d', n), ${columns.join(', ')} FROM copies CROSS JOIN artifacts WHERE id = ?1`,
        `${numbers} INSERT INTO artifact_packages (org, artifact, package, registry, since)
          SELECT org, n, package, registry, since FROM copies CROSS JOIN artifact_packages
          WHERE artifact = ?1 AND org = ${num}`,
        `UPDATE packages SET holders = holders + ?3 + 0 * ?2
          WHERE id IN (SELECT package FROM artifact_packages WHERE org = ${num} AND artifact = ?1)`,
      ].map((sql) => db.prepare(sql).bind(...bound)),
    )
  }
}
