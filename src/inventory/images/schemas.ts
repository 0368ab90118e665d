import { z } from '@hono/zod-openapi'
import { listOf } from '../../http/page-schemas.ts'
import { Finding } from '../../risk/findings/index.ts'

const IMAGE_ID = 'img_7m2k9q4x0v8b3n5t1r6w'
const TAG_ID = 'tag_0v8b3n5t1r6w7m2k9q4x'

export const ImageParams = z.object({
  imageId: z.string().max(64).openapi({ description: 'Id of the image', example: IMAGE_ID }),
})

export const TagParams = ImageParams.extend({
  tagId: z.string().max(64).openapi({ description: 'Id of the tag', example: TAG_ID }),
})

const count = (severity: string, example: number) =>
  z
    .int()
    .nullable()
    .openapi({ description: `${severity} findings; null until scanned`, example })

const SeverityCounts = z
  .strictObject({
    critical: count('CRITICAL', 1),
    high: count('HIGH', 4),
    medium: count('MEDIUM', 19),
    low: count('LOW', 27),
  })
  .openapi('SeverityCounts')

const riskScore = z
  .int()
  .nullable()
  .openapi({ description: '0 to 100, lower is better; null until scanned', example: 76 })
const grade = z
  .enum(['A', 'B', 'C', 'D'])
  .nullable()
  .openapi({ description: 'By critical and high findings; null until scanned', example: 'D' })
const digest = (description: string) =>
  z.string().nullable().openapi({
    description,
    example: 'sha256:4c1a2b3d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809',
  })
const instant = (description: string) =>
  z.iso.datetime().openapi({ description, example: '2026-11-20T09:30:00.000Z' })

export const Image = z
  .strictObject({
    id: z.string().openapi({ description: 'Id of the image', example: IMAGE_ID }),
    name: z.string().openapi({ description: 'Registry and repository', example: 'ghcr.io/acme/api' }),
    registryId: z.string().openapi({ description: 'Its registry', example: 'reg_5t1r6w7m2k9q4x0v8b3n' }),
    tagCount: z.int().openapi({ description: 'Number of tags', example: 12 }),
    latestTag: z
      .string()
      .nullable()
      .openapi({ description: 'The tag whose counts these are', example: '1.27' }),
    latestDigest: digest('What that tag points at; null until resolved'),
    riskScore,
    grade,
    vulnerabilities: SeverityCounts,
    lastScannedAt: instant('When it was last scanned; null until then').nullable(),
    createdAt: instant('When it was discovered'),
  })
  .openapi('Image')

export const Tag = z
  .strictObject({
    id: z.string().openapi({ description: 'Id of the tag', example: TAG_ID }),
    name: z.string().openapi({ description: 'The tag', example: '1.27' }),
    digest: digest('What it points at, often an index of platforms; null until resolved'),
    platforms: z.array(z.string()).openapi({
      description: 'Platforms that are known behind it',
      example: ['linux/amd64', 'linux/arm64'],
    }),
    riskScore,
    grade,
    vulnerabilities: SeverityCounts,
    lastScannedAt: instant('When it was last scanned; null until then').nullable(),
    createdAt: instant('When it was discovered'),
    movedAt: instant('When it last changed what it points at'),
  })
  .openapi('Tag')

export const ImageList = listOf(Image, 'ImageList')
export const TagList = listOf(Tag, 'TagList')
export const FindingList = listOf(Finding, 'FindingList')
