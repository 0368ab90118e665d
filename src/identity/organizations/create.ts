import type { z } from '@hono/zod-openapi'
import type { BaseContext } from '../../context.ts'
import { createOrganizationKey } from '../../crypto/organization-keys.ts'
import { parseRootKeys } from '../../crypto/root-keys.ts'
import { DuplicateKey, type Statement, statement } from '../../db/database.ts'
import { shardNames } from '../../db/shards.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { problem } from '../../http/problems.ts'
import { newId } from '../../ids.ts'
import { insertCredential, mintCredential, presentApiKey } from '../api-keys/index.ts'
import type { CreateOrganization } from './schemas.ts'

/**
 * Creates an organization with its owner, its first key-encryption key and its first admin API key, in one
 * batch, on the shard that holds the fewest. The API key is in this reply and nowhere else.
 */
export async function createOrganization(ctx: BaseContext, input: z.output<typeof CreateOrganization>) {
  const ring = await parseRootKeys(ctx.env.ROOT_KEYS)
  const id = newId('organization')
  const kek = await createOrganizationKey(ring, id)
  const { key, row } = await mintCredential({
    kind: 'api_key',
    name: input.apiKeyName,
    role: 'admin',
    registryId: null,
    createdBy: 'operator',
    createdAt: ctx.now,
    expiresAt: null,
  })
  const organization = { id, slug: input.slug, name: input.name, createdAt: new Date(ctx.now).toISOString() }
  const owner = { email: input.owner.email, name: input.owner.name }
  try {
    await ctx.directory.batch([
      insertOrganization(ctx, id, input),
      ...insertOwner(ctx, id, kek, owner),
      insertCredential(row, id),
      auditRow({ ...ctx, actor: { kind: 'operator' } }, null, 'organization.created', `organization:${id}`, {
        ...organization,
        owner,
        apiKey: presentApiKey(row),
      }),
    ])
  } catch (error) {
    if (error instanceof DuplicateKey)
      throw problem('CONFLICT', 'An organization with this slug exists already')
    throw error
  }
  return { ...organization, owner, apiKey: { ...presentApiKey(row), key } }
}

/** Placement is decided in the insert: the bound shard with the fewest organizations, in name order. */
function insertOrganization(ctx: BaseContext, id: string, input: z.output<typeof CreateOrganization>) {
  return statement(
    `INSERT INTO organizations (id, slug, name, shard, created_at)
     SELECT ?, ?, ?, bound.value, ? FROM json_each(?) AS bound
      ORDER BY (SELECT count(*) FROM organizations o WHERE o.shard = bound.value), bound.value LIMIT 1`,
    id,
    input.slug,
    input.name,
    ctx.now,
    JSON.stringify(shardNames(ctx.env)),
  )
}

/** The first key-encryption key and the owner; a person of that address who is known already keeps their name. */
function insertOwner(
  ctx: BaseContext,
  id: string,
  kek: { version: number; wrapped: string },
  owner: { email: string; name: string },
): Statement[] {
  const org = '(SELECT num FROM organizations WHERE id = ?)'
  return [
    statement(
      `INSERT INTO organization_keys (org, version, wrapped, state, created_at) VALUES (${org}, ?, ?, 'active', ?)`,
      id,
      kek.version,
      kek.wrapped,
      ctx.now,
    ),
    statement(
      `INSERT INTO users (id, email, name, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (email) DO NOTHING`,
      newId('user'),
      owner.email,
      owner.name,
      ctx.now,
    ),
    statement(
      `INSERT INTO memberships (org, user_id, role, status, created_at)
       VALUES (${org}, (SELECT id FROM users WHERE email = ?), 'owner', 'active', ?)`,
      id,
      owner.email,
      ctx.now,
    ),
  ]
}
