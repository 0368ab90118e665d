import { z } from '@hono/zod-openapi'
import { endpoint, role } from '../../http/endpoint.ts'
import { harborguard } from '../../http/faces.ts'
import { listQuery } from '../../http/page-schemas.ts'
import { mapPage, readPage } from '../../http/pages.ts'
import { data, list } from '../../http/reply.ts'
import { FINDING_LIST, listFindings, MATCH_FILTER_TEXTS, presentFinding } from '../../risk/findings/index.ts'
import { placeOfImage, placeOfTag } from './finding-places.ts'
import { IMAGE_FILTER_TEXTS, IMAGE_LIST, listImages } from './list.ts'
import { presentImage, presentTag } from './present.ts'
import { readImage } from './read.ts'
import * as schemas from './schemas.ts'
import { listTags, TAG_FILTER_TEXTS, TAG_LIST } from './tags.ts'

const tags = ['Images']

export const imageRoutes = [
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/images',
      operationId: 'listImages',
      tags,
      summary: 'List images',
      description: 'Counts, grade and score are those of the latest tag, and null until it was scanned.',
      query: listQuery(IMAGE_LIST, IMAGE_FILTER_TEXTS),
      responses: { 200: { description: 'A page', schema: schemas.ImageList } },
    },
    async (ctx, { request }) =>
      list(mapPage(await listImages(ctx, readPage(IMAGE_LIST, request.url)), presentImage)),
  ),
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/images/{imageId}',
      operationId: 'getImage',
      tags,
      summary: 'Get an image',
      params: schemas.ImageParams,
      responses: { 200: { description: 'The image', schema: z.strictObject({ data: schemas.Image }) } },
    },
    async (ctx, { params }) => data(presentImage(await readImage(ctx, params.imageId))),
  ),
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/images/{imageId}/vulnerabilities',
      operationId: 'listImageVulnerabilities',
      tags,
      summary: 'List the findings of an image',
      description: 'Those of its latest tag.',
      params: schemas.ImageParams,
      query: listQuery(FINDING_LIST, MATCH_FILTER_TEXTS),
      responses: { 200: { description: 'A page', schema: schemas.FindingList } },
    },
    async (ctx, { params, request }) => {
      const place = placeOfImage(ctx.organization.num, params.imageId)
      return list(
        mapPage(await listFindings(ctx, place, readPage(FINDING_LIST, request.url)), presentFinding),
      )
    },
  ),
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/images/{imageId}/tags',
      operationId: 'listImageTags',
      tags,
      summary: 'List the tags of an image',
      params: schemas.ImageParams,
      query: listQuery(TAG_LIST, TAG_FILTER_TEXTS),
      responses: { 200: { description: 'A page', schema: schemas.TagList } },
    },
    async (ctx, { params, request }) =>
      list(mapPage(await listTags(ctx, params.imageId, readPage(TAG_LIST, request.url)), presentTag)),
  ),
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/images/{imageId}/tags/{tagId}/vulnerabilities',
      operationId: 'listTagVulnerabilities',
      tags,
      summary: 'List the findings of a tag',
      description: 'As the artifact shows them now that the tag points at.',
      params: schemas.TagParams,
      query: listQuery(FINDING_LIST, MATCH_FILTER_TEXTS),
      responses: { 200: { description: 'A page', schema: schemas.FindingList } },
    },
    async (ctx, { params, request }) => {
      const place = placeOfTag(ctx.organization.num, params.imageId, params.tagId)
      return list(
        mapPage(await listFindings(ctx, place, readPage(FINDING_LIST, request.url)), presentFinding),
      )
    },
  ),
]
