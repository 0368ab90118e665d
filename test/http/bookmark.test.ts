import { describe, expect, it } from 'vitest'
import { anOrganization } from '../world.ts'

const HEADER = 'X-D1-Bookmark'

describe('The bookmark', () => {
  it('comes with every reply from a shard and is taken back by reads', async () => {
    const ours = await anOrganization()
    const first = await ours.get('/api/images')
    const bookmark = first.headers.get(HEADER)!
    expect(bookmark).toMatch(/^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{32}$/)
    expect((await ours.get('/api/images', { [HEADER]: bookmark })).status).toBe(200)
  })

  it.each([
    ['junk', 'x'.repeat(5000)],
    ['an instruction', 'first-unconstrained'],
    ['a state that never was', 'ffffffff-ffffffff-ffffffff-ffffffffffffffffffffffffffffffff'],
  ])('that is %s does no harm', async (_, bookmark) => {
    const ours = await anOrganization()
    expect((await ours.get('/api/images', { [HEADER]: bookmark })).status).toBeLessThan(500)
  })
})
