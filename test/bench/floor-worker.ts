import type { D1Database } from '@cloudflare/workers-types'

interface Env {
  DIRECTORY: D1Database
  SHARD: D1Database
}

const PAGE = 50 // the lists' default

/**
 * What no list can be faster than: `/empty` answers nothing; `/bare` makes a list's D1 calls (a credential by its
 * key, then page and total in one batch) on rows of its own and prints them.
 */
export default {
  async fetch(request: Request, { DIRECTORY, SHARD }: Env): Promise<Response> {
    if (new URL(request.url).pathname === '/empty') return new Response('')
    const directory = DIRECTORY.withSession('first-primary')
    const shard = SHARD.withSession('first-primary')
    await directory.prepare('SELECT org FROM credentials WHERE hash = ?').bind('known').all()
    const [page, total] = await shard.batch<{ n: number }>([
      shard.prepare('SELECT id, name, n FROM items WHERE org = ? ORDER BY id LIMIT ?').bind(1, PAGE),
      shard.prepare('SELECT n FROM totals WHERE org = ?').bind(1),
    ])
    return Response.json({ data: page!.results, meta: { total: total!.results[0]!.n } })
  },
}
