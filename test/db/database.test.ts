import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { DuplicateKey, EXPECT_ONE_CHANGE, LostRace, statement } from '../../src/db/database.ts'
import { newMeter, shardNames, tenantDb } from '../../src/db/shards.ts'

const open = () => tenantDb(env, '00', newMeter())!
const newest = (org: number) => statement('SELECT * FROM ingest_state WHERE org = ?', org)

describe('Database', () => {
  it('finds every bound shard by name', () => {
    expect(shardNames(env)).toEqual(['00', '01'])
    expect(tenantDb(env, '77', newMeter())).toBeNull()
  })

  it('writes nothing of a batch whose guard lost its race', async () => {
    const db = open()
    const attempt = db.batch([
      statement('INSERT INTO ingest_state (org, seq) VALUES (?, 1)', 1001),
      statement('UPDATE ingest_state SET seq = 9 WHERE org = ? AND seq = 5', 1001),
      EXPECT_ONE_CHANGE,
    ])
    await expect(attempt).rejects.toBeInstanceOf(LostRace)
    expect(await db.first(newest(1001))).toBeNull()
  })

  it('names the constraint of a duplicate key', async () => {
    const db = open()
    const insert = statement('INSERT INTO ingest_state (org, seq) VALUES (?, 1)', 1002)
    await db.run(insert)
    await expect(db.run(insert)).rejects.toBeInstanceOf(DuplicateKey)
  })

  it('counts round trips and rows as D1 charges them', async () => {
    const db = open()
    await db.batch([statement('INSERT INTO ingest_state (org, seq) VALUES (?, 1)', 1003), newest(1003)])
    expect(db.meter).toEqual({ roundTrips: 1, rowsRead: 1, rowsWritten: 1 })
  })
})
