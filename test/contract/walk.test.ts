import { describe, expect, it } from 'vitest'
import json from '../../openapi/harborguard-v1.json'
import { endpoints } from '../../src/app.ts'
import { ROLE_LEVELS, type Role } from '../../src/auth/roles.ts'
import { anOrganization, type Caller, nobody } from '../world.ts'

const RANDOM_ID = '00000000000000000000'
const operations = endpoints.filter(({ face }) => !face.hidden)
const title = ({ route }: (typeof endpoints)[number]) => `${route.method.toUpperCase()} ${route.path}`
const withAccess = (kind: string) =>
  operations
    .filter(({ access }) => access.kind === kind)
    .map((operation) => [title(operation), operation] as const)

/** The path with ids that nobody has. */
const somewhere = (path: string) => path.replace(/\{\w+\}/g, RANDOM_ID)

const call = (client: Caller, { route }: (typeof endpoints)[number], body?: unknown) =>
  client.send(route.method.toUpperCase(), somewhere(route.path), {
    headers: { 'Content-Type': 'application/json' },
    ...(route.method !== 'get' && { body: JSON.stringify(body ?? {}) }),
  })

describe('The OpenAPI document', () => {
  it('names every public operation once, with tags, responses and its access', () => {
    const documented = Object.entries(json.paths).flatMap(([path, methods]) =>
      Object.entries(methods as Record<string, Record<string, unknown>>).map(([method, operation]) => ({
        path,
        method,
        operation,
      })),
    )
    expect(documented.length).toBe(operations.length)
    const ids = documented.map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
    for (const { operation, path, method } of documented) {
      const { access, route } = operations.find(
        (candidate) => candidate.route.path === path && candidate.route.method === method,
      )!
      expect(operation.tags, path).not.toHaveLength(0)
      if (access.kind === 'public') expect(operation.security, path).toEqual([])
      if (access.kind === 'role') expect(operation['x-required-role'], path).toBe(access.role)
      expect(operation['x-rate-limit'], path).toEqual(route.rateLimit)
    }
  })
})

describe('Every operation', () => {
  it.each([...withAccess('role'), ...withAccess('agent')])(
    '%s is 401 without a credential',
    async (_, operation) => {
      const answer = await call(nobody, operation)
      expect(answer.status, answer.text).toBe(401)
    },
  )

  it.each(withAccess('role'))('%s is 403 for a role below its own', async (_, operation) => {
    if (operation.access.kind !== 'role') return
    const minimum = ROLE_LEVELS[operation.access.role]
    const below = (Object.keys(ROLE_LEVELS) as Role[]).filter((role) => ROLE_LEVELS[role] < minimum)
    const ours = await anOrganization()
    for (const role of below) expect(await call(await ours.as(role), operation)).toBeProblem(403, 'FORBIDDEN')
  })

  it.each(withAccess('agent'))('%s is 403 for an API key', async (_, operation) => {
    const answer = await call(await anOrganization(), operation)
    expect([answer.status, answer.body.code]).toEqual([403, 'forbidden'])
  })

  it.each(
    operations
      .filter(({ access, route }) => access.kind === 'role' && route.body)
      .map((operation) => [title(operation), operation] as const),
  )('%s refuses an unknown field by its path', async (_, operation) => {
    const answer = await call(await anOrganization(), operation, { noSuchField: 1 })
    expect(answer).toBeProblem(400, 'VALIDATION_ERROR')
    expect(answer.body.error.issues).toContainEqual({ path: 'noSuchField', message: 'Unknown field' })
  })
})
