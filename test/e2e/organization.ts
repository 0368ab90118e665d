import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { Api } from '../../dev/local/api.ts'

/** A new organization of the running system, as its first admin key sees it. */
export async function anOrganization(): Promise<Api & { key: string }> {
  const { url, operatorToken } = inject('system')
  const slug = `e2e-${randomBytes(5).toString('hex')}`
  const { data } = await new Api(url, operatorToken).post<{ data: { apiKey: { key: string } } }>(
    '/operator/organizations',
    { name: slug, slug, owner: { email: `${slug}@localhost.example`, name: 'Owner' } },
  )
  const { key } = data.apiKey
  return Object.assign(new Api(url, key), { key })
}
