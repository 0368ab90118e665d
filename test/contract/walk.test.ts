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

interface Parameter {
  name: string
  description?: string
  example?: unknown
  schema: { description?: string; example?: unknown; examples?: unknown }
}

type Part = Record<string, unknown>

/** Every part of an `allOf`, wherever it stands. */
const partsOf = (value: unknown): Part[] =>
  typeof value !== 'object' || value === null
    ? []
    : Object.entries(value).flatMap(([name, member]) => [
        ...(name === 'allOf' ? (member as Part[]) : []),
        ...partsOf(member),
      ])

describe('The OpenAPI document', () => {
  const documented = Object.entries(json.paths).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, Record<string, unknown>>).map(([method, operation]) => ({
      path,
      method,
      operation,
    })),
  )

  it('names every public operation once, with tags, responses and its access', () => {
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
      if (access.kind === 'agent') expect(operation['x-required-role'], path).toBe('runner')
      if (access.kind !== 'public') expect(operation.security, path).toEqual([{ bearer: [] }, { apiKey: [] }])
      expect(operation['x-rate-limit'], path).toEqual(route.rateLimit)
    }
  })

  it('gives every parameter a description and an example', () => {
    const bare = documented.flatMap(({ path, operation }) =>
      ((operation.parameters ?? []) as Parameter[])
        .filter(({ description, schema, example }) => {
          const words = description ?? schema.description
          return !words || (example ?? schema.example ?? schema.examples) === undefined
        })
        .map(({ name }) => `${path} ${name}`),
    )
    expect(bare).toEqual([])
  })

  it('documents the problems that access, body, path and rate limit make possible', () => {
    for (const { path, method, operation } of documented) {
      const statuses = Object.keys(operation.responses as object)
      const wanted = [
        ...('x-required-role' in operation ? ['401', '403'] : []),
        ...(path.includes('{') && 'x-required-role' in operation ? ['400'] : []),
        ...(path.includes('{') && operation['x-required-role'] !== 'runner' ? ['404'] : []),
        ...(operation.requestBody ? ['400', '413', '415'] : []),
        ...(operation['x-rate-limit'] ? ['429'] : []),
      ]
      expect(statuses, `${method} ${path}`).toEqual(expect.arrayContaining(wanted))
    }
  })

  it("combines no closed schemas, which would refuse each other's members", () => {
    expect(partsOf(json)).not.toEqual([])
    expect(partsOf(json).filter(({ additionalProperties }) => additionalProperties === false)).toEqual([])
  })

  it('has the runner routes and none of the operators', () => {
    const paths = Object.keys(json.paths)
    expect(paths).toEqual(expect.arrayContaining(['/api/agent/register', '/api/scans/upload']))
    expect(JSON.stringify(json)).not.toContain('/operator')
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

  it.each(withAccess('agent'))('%s is 403 for an API key below the role ci', async (_, operation) => {
    const ours = await anOrganization()
    for (const below of ['viewer', 'auditor']) {
      const answer = await call(await ours.as(below), operation)
      expect([answer.status, answer.body.code]).toEqual([403, 'forbidden'])
    }
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
