import { expect, it } from 'vitest'
import { statement } from '../../src/db/database.ts'
import { scheduleScans } from '../../src/scanning/schedules/schedule-scans.ts'
import { anOrganization } from '../world.ts'
import { aWorld, settle, T0 } from './world.ts'

it('starts every daily and weekly registry, however many, each with one promise and none of others', async () => {
  const [world, theirs] = [await aWorld(), await aWorld()]
  const org = world.organization.num
  await world.rows(
    `INSERT INTO registries (id, num, org, name, provider, url, host, path_prefix, insecure, scan_method, scanners,
                             schedule, status, created_at, updated_at)
     SELECT 'reg_' || ? || '_' || value, (SELECT max(num) FROM registries) + 1 + value, ?, 'r', 'CUSTOM', 'http://r',
            'r', '', 1, 'cloud', '["trivy"]', CASE value % 3 WHEN 0 THEN 'daily' WHEN 1 THEN 'weekly' ELSE 'manual' END,
            'ACTIVE', value, value
       FROM (WITH RECURSIVE n(value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM n WHERE value < 449) SELECT value FROM n)`,
    org,
    org,
  )
  const ctx = world.at(T0)
  const { registries } = await scheduleScans(ctx)
  expect(registries).toHaveLength(300)
  expect(ctx.db.meter.roundTrips).toBe(2)
  const promised = await world.rows<{ message: string }>('SELECT message FROM outbox WHERE org = ?', org)
  const messages = promised.map(({ message }) => JSON.parse(message))
  expect(messages.map(({ registryId }) => registryId).sort()).toEqual([...registries].sort())
  expect(new Set(messages.map(({ kind, org: named }) => `${kind} ${named}`))).toEqual(
    new Set([`registry.schedule ${org}`]),
  )
  await settle()
  expect(world.sent).toHaveLength(300)
  expect((await scheduleScans(theirs.at(T0))).registries).toEqual([])
})

it('is one write to the audit log, also where nothing is scheduled', async () => {
  const ours = await anOrganization()
  const started = await ours.post('/api/registries/schedule-scans')
  expect([started.status, started.body.data]).toEqual([202, { registries: [] }])
  const rows = await ours.db.all(
    statement(
      "SELECT actor FROM audit_log WHERE org = ? AND action = 'registry.scans_scheduled'",
      ours.organization.num,
    ),
  )
  expect(rows).toHaveLength(1)
})
