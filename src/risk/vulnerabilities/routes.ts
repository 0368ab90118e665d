import { z } from '@hono/zod-openapi'
import { endpoint, role } from '../../http/endpoint.ts'
import { harborguard } from '../../http/faces.ts'
import { listQuery } from '../../http/page-schemas.ts'
import { mapPage, readPage } from '../../http/pages.ts'
import { bare, data, list } from '../../http/reply.ts'
import { presentMatch } from '../findings/index.ts'
import { distinctValues } from './distinct.ts'
import { listVulnerabilityImages, VULNERABILITY_IMAGE_LIST } from './images.ts'
import { listVulnerabilities } from './list.ts'
import { VULNERABILITY_FILTER_TEXTS, VULNERABILITY_LIST } from './list-spec.ts'
import { presentAffectedImage, presentVulnerability } from './present.ts'
import { readVulnerability } from './read.ts'
import * as schemas from './schemas.ts'

const tags = ['Vulnerabilities']

export const vulnerabilityRoutes = [
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/vulnerabilities',
      operationId: 'listVulnerabilities',
      tags,
      summary: 'List vulnerabilities',
      description:
        'One row for each vulnerability of a package version that a live artifact of the organization shows. In the order detectedAt it is the time at which the organization first saw it.',
      query: listQuery(VULNERABILITY_LIST, VULNERABILITY_FILTER_TEXTS),
      responses: { 200: { description: 'A page', schema: schemas.VulnerabilityList } },
    },
    async (ctx, { request }) =>
      list(
        mapPage(await listVulnerabilities(ctx, readPage(VULNERABILITY_LIST, request.url)), (row) =>
          presentMatch(row),
        ),
      ),
  ),
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/vulnerabilities/distinct',
      operationId: 'listDistinctVulnerabilityValues',
      tags,
      summary: 'List the values of a filter',
      description: 'What there is to filter the list of vulnerabilities by.',
      query: schemas.DistinctQuery,
      responses: { 200: { description: 'The values', schema: schemas.DistinctValues } },
    },
    async (ctx, { query }) => {
      const { values, complete } = await distinctValues(ctx, query.field)
      return bare(200, { data: values, meta: { field: query.field, complete } })
    },
  ),
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/vulnerabilities/{vulnId}',
      operationId: 'getVulnerability',
      tags,
      summary: 'Get a vulnerability',
      params: schemas.VulnerabilityParams,
      responses: {
        200: {
          description: 'The vulnerability',
          schema: z.strictObject({ data: schemas.VulnerabilityDetail }),
        },
      },
    },
    async (ctx, { params }) => data(presentVulnerability(await readVulnerability(ctx, params.vulnId))),
  ),
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/vulnerabilities/{vulnId}/images',
      operationId: 'listVulnerabilityImages',
      tags,
      summary: 'List where a vulnerability is',
      description: 'The live artifacts that show it, with the layer and path of the package, and since when.',
      params: schemas.VulnerabilityParams,
      query: listQuery(VULNERABILITY_IMAGE_LIST, {}),
      responses: { 200: { description: 'A page', schema: schemas.AffectedImageList } },
    },
    async (ctx, { params, request }) =>
      list(
        mapPage(
          await listVulnerabilityImages(ctx, params.vulnId, readPage(VULNERABILITY_IMAGE_LIST, request.url)),
          presentAffectedImage,
        ),
      ),
  ),
]
