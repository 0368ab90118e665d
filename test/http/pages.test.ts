import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keyset } from '../../src/http/keyset.ts'
import { flag, integer, manyOf, oneOf, text } from '../../src/http/page-filters.ts'
import { listSpec, mapPage, type PageRequest, pageOf, readPage } from '../../src/http/pages.ts'
import { Problem } from '../../src/http/problems.ts'

const LIST = listSpec({
  name: 'ships',
  sorts: ['name', 'tonnage'],
  defaultSort: { column: 'name', direction: 'asc' },
  filters: {
    flag: manyOf(['DK', 'NO', 'SE']),
    state: oneOf(['AT_SEA', 'IN_PORT'], { MOORED: 'IN_PORT' }),
    crew: integer(1, 99),
    afloat: flag(),
    search: text(20),
  },
})
const read = (query: string) => readPage(LIST, `/api/ships${query}`)

function issuesOf(query: string): string[] {
  try {
    read(query)
  } catch (error) {
    expect(error).toBeInstanceOf(Problem)
    expect((error as Problem).code).toBe('VALIDATION_ERROR')
    return (error as Problem).issues!.map((issue) => issue.path)
  }
  return []
}

describe('readPage', () => {
  it('starts at page 1 with 50 items in the default order', () => {
    expect(read('')).toMatchObject({
      page: 1,
      limit: 50,
      sort: { column: 'name', direction: 'asc' },
      filters: {},
      cursor: null,
      ignored: [],
    })
  })

  it('reads pageSize as another name of limit, and limit first', () => {
    expect(read('?pageSize=7').limit).toBe(7)
    expect(read('?pageSize=7&limit=9').limit).toBe(9)
  })

  it.each(['201', '0', '-1', '1.5', 'many', '1e3', '1,2'])('refuses the limit %s', (limit) => {
    expect(issuesOf(`?limit=${limit}`)).toEqual(['limit'])
    expect(issuesOf(`?pageSize=${limit}`)).toEqual(['pageSize'])
  })

  it.each(['0', '-3', 'x', '99999999999999999999'])('refuses the page %s', (page) => {
    expect(issuesOf(`?page=${page}`)).toEqual(['page'])
  })

  it('accepts both ends of the limits', () => {
    expect(read('?limit=200').limit).toBe(200)
    expect(read('?limit=1').limit).toBe(1)
  })

  it.each(['masts:asc', 'name:up', 'name', 'name:asc:nulls', 'constructor:asc'])(
    'falls back to the default order for %s and says so',
    (sort) => {
      const request = read(`?sort=${sort}`)
      expect(request.sort).toEqual(LIST.defaultSort)
      expect(request.ignored).toEqual(['sort'])
    },
  )

  it('names unknown parameters and gives them no effect', () => {
    const request = read('?colour=red&search=kon&toString=1')
    expect(request.ignored).toEqual(['colour', 'toString'])
    expect(request.filters).toEqual({ search: 'kon' })
  })

  it('reads each kind of filter', () => {
    expect(read('?flag=se,dk&flag=SE&state=moored&crew=12&afloat=false&search=%20kon%20').filters).toEqual({
      flag: ['DK', 'SE'],
      state: 'IN_PORT',
      crew: 12,
      afloat: false,
      search: 'kon',
    })
  })

  it('counts an empty value as absent', () => {
    expect(read('?flag=&state=&page=&limit=&sort=&cursor=')).toMatchObject({
      filters: {},
      ignored: [],
      page: 1,
    })
  })

  it('reports everything that is wrong at once', () => {
    const query = '?limit=500&flag=DK,XX&state=sunk&crew=100&afloat=yes&search=123456789012345678901'
    expect(issuesOf(query).sort()).toEqual(['afloat', 'crew', 'flag', 'limit', 'search', 'state'])
  })
})

/** Rows as a table would hold them, and a list over them as SQL would read it. */
interface Ship {
  id: number
  tonnage: number
}
function fetchShips(ships: Ship[], request: PageRequest): Ship[] {
  const falling = (request.sort.direction === 'desc') !== (request.cursor?.backwards ?? false)
  const compare = (a: readonly unknown[], b: readonly unknown[]) =>
    Math.sign((a[0] as number) - (b[0] as number)) || Math.sign((a[1] as number) - (b[1] as number))
  const sorted = [...ships].sort((a, b) => compare(keysOf(a), keysOf(b)) * (falling ? -1 : 1))
  const { cursor, limit, page } = request
  if (!cursor) return sorted.slice((page - 1) * limit, page * limit + 1)
  const rest = sorted.filter((ship) => compare(keysOf(ship), cursor.keys) * (falling ? -1 : 1) > 0)
  return rest.slice(0, limit + 1)
}
const keysOf = (ship: Ship) => [ship.tonnage, ship.id]
const list = (ships: Ship[], url: string) => {
  const request = readPage(LIST, url)
  return pageOf(request, fetchShips(ships, request), request.cursor ? null : { total: ships.length }, keysOf)
}
const fleet = (size: number): Ship[] =>
  Array.from({ length: size }, (_, id) => ({ id, tonnage: (id * 7) % 5 }))

describe('pageOf', () => {
  it('gives the documented meta and links', () => {
    const page = list(fleet(120), '/api/ships?page=2&limit=50&flag=DK&unknown=1')
    expect(page.meta).toEqual({
      page: 2,
      pageSize: 50,
      total: 120,
      totalPages: 3,
      hasNext: true,
      hasPrev: true,
      ignored: ['unknown'],
    })
    expect(page.links.self).toBe('/api/ships?page=2&limit=50&flag=DK')
    expect(page.links.prev).toBe('/api/ships?page=1&limit=50&flag=DK')
    expect(page.links.next).toMatch(/^\/api\/ships\?page=3&limit=50&flag=DK&cursor=[\w-]+$/)
  })

  it('links to the path that the client meant, never to another host', () => {
    const { links } = list(fleet(60), 'https://api.test//api//ships/')
    expect(links.self).toBe('/api/ships?page=1&limit=50')
    expect(links.next).toMatch(/^\/api\/ships\?page=2/)
  })

  it('has no links where there is nothing', () => {
    expect(list(fleet(50), '/api/ships').links).toEqual({ self: '/api/ships?page=1&limit=50' })
    expect(list([], '/api/ships').meta).toMatchObject({
      total: 0,
      totalPages: 0,
      hasNext: false,
      hasPrev: false,
    })
  })

  it('gives by cursor what it gives by number, forwards and backwards', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 60 }),
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom('asc', 'desc'),
        (size, limit, direction) => {
          const ships = fleet(size)
          const byNumber = (page: number) =>
            list(ships, `/api/ships?page=${page}&limit=${limit}&sort=tonnage:${direction}`)
          let page = byNumber(1)
          while (page.links.next) {
            page = list(ships, page.links.next)
            expect(page.data).toEqual(byNumber(page.meta.page).data)
            expect(page.meta).toEqual(byNumber(page.meta.page).meta)
          }
          expect(page.meta.page).toBe(Math.max(1, page.meta.totalPages))
          while (page.links.prev) {
            page = list(ships, page.links.prev)
            expect(page.data).toEqual(byNumber(page.meta.page).data)
            expect(page.meta).toEqual(byNumber(page.meta.page).meta)
          }
          expect(page.meta.page).toBe(1)
        },
      ),
    )
  })

  it('carries the total along, estimate or not, so that it is counted once', () => {
    const first = readPage(LIST, '/api/ships?limit=2')
    const page = pageOf(first, fleet(3), { total: 12_345, totalIsEstimate: true }, keysOf)
    const second = readPage(LIST, page.links.next!)
    expect(pageOf(second, fleet(1), null, keysOf).meta).toMatchObject({
      total: 12_345,
      totalIsEstimate: true,
    })
  })

  it('presents items and keeps the rest', () => {
    const page = list(fleet(3), '/api/ships?limit=2')
    expect(mapPage(page, (ship) => ship.id)).toEqual({ ...page, data: page.data.map((ship) => ship.id) })
  })
})

describe('cursors', () => {
  const next = list(fleet(20), '/api/ships?limit=5&flag=DK').links.next!
  const change = (edit: (params: URLSearchParams) => void) => {
    const url = new URL(next, 'http://x')
    edit(url.searchParams)
    return url.search
  }

  it('continue the address they came with', () => {
    expect(readPage(LIST, next).cursor).toMatchObject({ backwards: false, total: { total: 20 } })
  })

  it.each([
    ['another page', (params: URLSearchParams) => params.set('page', '3')],
    ['another limit', (params: URLSearchParams) => params.set('limit', '6')],
    ['another order', (params: URLSearchParams) => params.set('sort', 'name:desc')],
    ['another filter', (params: URLSearchParams) => params.set('flag', 'SE')],
    ['no filter', (params: URLSearchParams) => params.delete('flag')],
  ])('are refused with %s', (_, edit) => {
    expect(issuesOf(change(edit))).toEqual(['cursor'])
  })

  it('are refused on another list and another path', () => {
    const elsewhere = () => readPage({ ...LIST, name: 'boats' }, next)
    expect(elsewhere).toThrow(Problem)
    expect(() => readPage(LIST, next.replace('/api/ships', '/api/boats'))).toThrow(Problem)
  })

  it('are refused when malformed, whatever stands in them', () => {
    const wire = (value: unknown) => btoa(JSON.stringify(value)).replaceAll('=', '')
    for (const cursor of ['%', 'a', 'W10', wire({}), wire(['x', 0, 1, 0, 1]), 'A'.repeat(5000)]) {
      expect(issuesOf(change((params) => params.set('cursor', cursor)))).toEqual(['cursor'])
    }
    const [print] = JSON.parse(atob(new URL(next, 'http://x').searchParams.get('cursor')!)) as [string]
    for (const rest of [
      [],
      [0, -1, 0, 1],
      [2, 1, 0, 1],
      [0, 1, 0],
      [0, 1, 0, null],
      [0, 1, 0, {}],
      [0, '1', 0, 1],
    ]) {
      expect(issuesOf(change((params) => params.set('cursor', wire([print, ...rest]))))).toEqual(['cursor'])
    }
    fc.assert(
      fc.property(fc.base64String({ maxLength: 80 }), (cursor) => {
        const query = change((params) => params.set('cursor', cursor))
        expect(issuesOf(query)).toEqual(cursor === '' ? [] : ['cursor'])
      }),
    )
  })

  it('with another number of keys than the order has columns are refused', () => {
    expect(() => keyset(readPage(LIST, next), ['a', 'b', 'c'])).toThrow(Problem)
  })
})

describe('keyset', () => {
  it('binds every value and asks for one row more than the page holds', () => {
    const first = keyset(read('?page=3&limit=5&sort=tonnage:desc'), ['s.tonnage', 's.id'])
    expect(first.after).toEqual({ sql: '1', params: [] })
    expect(first.order.sql).toBe('s.tonnage DESC, s.id DESC')
    expect(first.window).toEqual({ sql: 'LIMIT ? OFFSET ?', params: [6, 10] })
  })

  it('turns the order round for a cursor that reads backwards', () => {
    const third = list(
      fleet(20),
      list(fleet(20), list(fleet(20), '/api/ships?limit=5').links.next!).links.next!,
    )
    const parts = keyset(readPage(LIST, third.links.prev!), ['s.name', 's.id'])
    expect(parts.after.sql).toBe('(s.name, s.id) < (?, ?)')
    expect(parts.order.sql).toBe('s.name DESC, s.id DESC')
    expect(parts.window).toEqual({ sql: 'LIMIT ?', params: [6] })
  })
})
