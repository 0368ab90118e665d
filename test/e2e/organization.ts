import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { Api } from '../../dev/local/api.ts'

/** A new organization of the running system, as its first admin key sees it. */
export async function anOrganization(): Promise<Api> {
  const { url, operatorToken } = inject('system')
  const slug = `e2e-${randomBytes(5).toString('hex')}`
  const { data } = await new Api(url, operatorToken).post<{ data: { apiKey: { key: string } } }>(
    '/operator/organizations',
    { name: slug, slug, owner: { email: `${slug}@localhost.example`, name: 'Owner' } },
  )
  return new Api(url, data.apiKey.key)
}
