import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Env } from '../../src/env.ts'
import { newId } from '../../src/ids.ts'
import { anOrganization } from '../world.ts'
import { objectsOf } from './canonical.ts'
import { contradictions } from './invariants.ts'
import { Story } from './story.ts'
import { System } from './system.ts'
import { expectStatus } from './tenant.ts'

const ORGANIZATIONS = 25 // more than one sweep asks

let system: System

beforeAll(() => {
  system = new System(Date.now())
})

const put = (key: string) => (env as unknown as Env).ARTIFACTS.put(key, 'lost')

describe('The sweep of the bucket', () => {
  it('takes what nothing names, of any number of organizations', async () => {
    const owners = []
    for (let n = 0; n < ORGANIZATIONS; n++) owners.push((await anOrganization()).organization)
    for (const { num } of owners) {
      await put(`orgs/${num}/sha256/${'ab'.repeat(32)}`)
      await put(`orgs/${num}/results/${newId('scan')}/1-${newId('request')}`)
    }
    await system.sweepObjects()
    expect((await Promise.all(owners.map(objectsOf))).flat()).toEqual([])
  })

  it('leaves alone what is younger than a day, of another form, or of nobody', async () => {
    const { organization } = await anOrganization()
    const young = `orgs/${organization.num}/sha256/${'cd'.repeat(32)}`
    await put(young)
    await system.tick()
    system.advance(120_000)
    await system.tick()
    expect(await objectsOf(organization)).toEqual([young])
    const others = [`orgs/${organization.num}/reports/1`, 'orgs/999999/sha256/1', 'orgs/none/sha256/1']
    for (const key of others) await put(key)
    await system.sweepObjects()
    expect(await objectsOf(organization)).toEqual([others[0]])
    for (const key of others) expect(await (env as unknown as Env).ARTIFACTS.head(key)).not.toBeNull()
  })

  it('leaves alone what scans name, also where one took the job over and the job is forgotten', async () => {
    const story = await Story.begin(system)
    const { tenant } = story
    await story.claimed()
    const follower = await tenant.call('POST', '/api/scans', {
      image: `${tenant.host}/team/app:1.0`,
      scanners: ['trivy'],
    })
    await story.deliver()
    expectStatus(await story.runner.complete(story.job!), 200)
    expectStatus(await tenant.call('DELETE', `/api/scans/${story.scanId}`), 200)
    await story.finish()
    await tenant.rows('DELETE FROM jobs WHERE org = ?', tenant.organization.num)
    await system.sweepObjects()
    const [heir] = await tenant.rows<{ status: string; result_key: string }>(
      'SELECT status, result_key FROM scans WHERE id = ?',
      follower.body.scanId,
    )
    expect(heir).toMatchObject({ status: 'COMPLETE', result_key: expect.stringContaining(story.scanId) })
    expect(await objectsOf(tenant.organization)).toContain(heir!.result_key)
    expect(await contradictions(tenant.organization)).toEqual([])
  })
})
