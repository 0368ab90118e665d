import { globSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

/** Files with statements on tenant tables that name no organization, and what makes that right. */
const WITHOUT_ORGANIZATION: Record<string, string> = {
  'src/auth/credentials.ts': 'the id of the credential that the request presented',
  'src/db/dead-letters.ts': 'what an operator lists and replays, over every organization of a shard',
  'src/db/outbox.ts': 'ids that the same sweep or message brought; messages name their organization',
  'src/inventory/artifacts/show.ts': 'its condition is spliced in by two callers, each with the organization',
  'src/inventory/registries/sweeps.ts': 'a sweep over every organization of a shard',
  'src/risk/findings/look-around.ts': 'the registry number of the artifact that is being ingested',
  'src/scanning/backlogs.ts': 'counts and ages over every organization of a shard, for operators',
  'src/scanning/sensors/calling-agent.ts': 'an agent of the credential that the request presented',
  'src/scanning/sensors/claim.ts': 'what the agent that polls holds, over every organization of its pool',
  'src/scanning/sensors/expire-leases.ts': 'a sweep over every organization of a shard',
  'src/scanning/sensors/register.ts': 'agents of the credential that the request presented',
  'src/scanning/sensors/take-job.ts': 'pools over every organization; a sensor claims in its own alone',
  'src/scanning/sweeps.ts': 'sweeps over every organization of a shard',
}

const migrations = globSync('migrations/*/*.sql').map((file) => readFileSync(file, 'utf8'))
const tenantTables = migrations
  .flatMap((text) => text.split(/^CREATE TABLE /m).slice(1))
  .filter((table) => /^ {2}org INTEGER/m.test(table.slice(0, table.indexOf('\n)'))))
  .map((table) => /^\w+/.exec(table)![0])

/** Texts in quotes that read or write a tenant table; what is spliced into them counts by its source text. */
function statementsOf(source: string): string[] {
  const used = new RegExp(`\\b(?:FROM|JOIN|UPDATE(?: OR REPLACE)?|INTO)\\s+(?:${tenantTables.join('|')})\\b`)
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '')
  const quoted = [...code.matchAll(/`([^`]*)`|'([^'\n]*)'/g)].map((match) => match[1] ?? match[2] ?? '')
  return quoted.filter((text) => /\b(?:SELECT|UPDATE|DELETE|INSERT)\b/.test(text) && used.test(text))
}

/** A condition that is spliced in holds the organization, as its constant in the same file says. */
const namesOrganization = (text: string): boolean =>
  /\borg\b/.test(text) || /\$\{(?:where|still|raw\(COLUMNS\))\}/.test(text)

describe('Every statement on a tenant table', () => {
  const files = globSync('src/**/*.ts').map((file) => [file, readFileSync(file, 'utf8')] as const)

  it('is found', () => {
    expect(tenantTables).toEqual(expect.arrayContaining(['scans', 'jobs', 'registries', 'matches', 'images']))
    expect(files.flatMap(([, source]) => statementsOf(source)).length).toBeGreaterThan(150)
  })

  it('names the organization, or is one of those that need not', () => {
    const bare = files
      .filter(([, source]) => statementsOf(source).some((text) => !namesOrganization(text)))
      .map(([file]) => file)
    expect(bare.sort()).toEqual(Object.keys(WITHOUT_ORGANIZATION).sort())
  })
})
