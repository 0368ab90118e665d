import { z } from '@hono/zod-openapi'
import json from '../../openapi/harborguard-v1.json'
import yaml from '../../openapi/harborguard-v1.yaml'
import { staticFile } from '../db/assets.ts'
import { DOCS_HEADERS, DOCS_PAGE } from './docs-page.ts'
import { anyone, endpoint } from './endpoint.ts'
import { harborguard } from './faces.ts'
import { notFound } from './problems.ts'
import { data } from './reply.ts'

const Health = z
  .strictObject({ status: z.literal('ok').openapi({ description: 'Always "ok"', example: 'ok' }) })
  .openapi('Health')

const DOCS_FILES = new Map([
  ['swagger-ui-bundle.js', 'text/javascript; charset=utf-8'],
  ['swagger-ui.css', 'text/css; charset=utf-8'],
  ['favicon-32x32.png', 'image/png'],
])
const HOUR = 'public, max-age=3600'

const document = (extension: 'yaml' | 'json', mediaType: string, text: () => string) =>
  endpoint(
    harborguard,
    anyone,
    {
      method: 'get',
      path: `/openapi/harborguard-v1.${extension}`,
      operationId: `getOpenApi${extension === 'yaml' ? 'Yaml' : 'Json'}`,
      tags: ['Service'],
      summary: `This document as ${extension.toUpperCase()}`,
      responses: {
        200: { description: 'The OpenAPI 3.1 document', mediaTypes: [mediaType], schema: z.unknown() },
      },
    },
    () => new Response(text(), { headers: { 'Content-Type': mediaType, 'Cache-Control': HOUR } }),
  )

/** What needs no credential and touches no database. */
export const documentRoutes = [
  endpoint(
    harborguard,
    anyone,
    {
      method: 'get',
      path: '/api/health',
      operationId: 'getHealth',
      tags: ['Service'],
      summary: 'Whether the API answers',
      responses: { 200: { description: 'It does', schema: z.strictObject({ data: Health }) } },
    },
    () => data({ status: 'ok' }),
  ),
  document('yaml', 'application/yaml', () => yaml),
  document('json', 'application/json', () => JSON.stringify(json, null, 2)),
  endpoint(
    harborguard,
    anyone,
    {
      method: 'get',
      path: '/docs',
      operationId: 'getDocumentation',
      tags: ['Service'],
      summary: 'The documentation as a page for people',
      responses: { 200: { description: 'HTML', mediaTypes: ['text/html'] } },
    },
    () => new Response(DOCS_PAGE, { headers: DOCS_HEADERS }),
  ),
  endpoint(
    { ...harborguard, hidden: true },
    anyone,
    {
      method: 'get',
      path: '/docs/{file}',
      operationId: 'getDocumentationFile',
      tags: ['Service'],
      summary: "The documentation page's script and style",
      params: z.object({ file: z.string() }),
      responses: { 200: { description: 'The file' } },
    },
    async (ctx, { params }) => {
      const type = DOCS_FILES.get(params.file)
      if (!type) throw notFound('File')
      const file = await staticFile(ctx.env, `/docs/${params.file}`)
      return new Response(file.body, { headers: { 'Content-Type': type, 'Cache-Control': HOUR } })
    },
  ),
]
