import { z } from '@hono/zod-openapi'
import { listOf } from '../../http/page-schemas.ts'
import { FINDING_ENGINES } from '../../scanning/sensors/result.ts'
import { Layer, ManifestDigest, PackagePath, Vulnerability } from '../findings/index.ts'
import { DISTINCT_FIELDS } from './distinct.ts'

export const VulnerabilityParams = z.object({
  vulnId: z.string().min(1).max(128).openapi({
    description: 'Id, or a CVE id where the organization has it on one package version only',
    example: 'CVE-2024-5535',
  }),
})

export const DistinctQuery = z.object({
  field: z
    .enum(DISTINCT_FIELDS)
    .openapi({ description: 'The filter whose values are wanted', example: 'package' }),
})

export const VulnerabilityList = listOf(Vulnerability, 'VulnerabilityList')

const instant = (description: string) =>
  z.iso.datetime().openapi({ description, example: '2024-06-27T10:30:00.000Z' })

export const VulnerabilityDetail = z
  .strictObject({
    ...Vulnerability.shape,
    title: z.string().nullable().openapi({
      description: 'Title of the advisory',
      example: 'openssl: SSL_select_next_proto buffer overread',
    }),
    description: z.string().nullable().openapi({
      description: 'Text of the advisory',
      example: 'Calling SSL_select_next_proto with an empty supported protocols buffer may cause a crash.',
    }),
    links: z.array(z.string()).openapi({
      description: 'Addresses that the advisory names',
      example: ['https://nvd.nist.gov/vuln/detail/CVE-2024-5535'],
    }),
    cwes: z.array(z.string()).openapi({ description: 'Kinds of weakness', example: ['CWE-200'] }),
    publishedAt: instant('When the advisory was published').nullable(),
    modifiedAt: instant('When its text last changed').nullable(),
  })
  .openapi('VulnerabilityDetail')

export const AffectedImage = z
  .strictObject({
    image: z
      .strictObject({
        id: z.string().openapi({ description: 'Id of the image', example: 'img_7m2k9q4x0v8b3n5t1r6w' }),
        name: z.string().openapi({ description: 'Registry and repository', example: 'ghcr.io/acme/api' }),
      })
      .openapi({ description: 'Image that shows it' }),
    tag: z.string().nullable().openapi({
      description: 'The tag that moved to it last; null for a scan by digest',
      example: '1.27',
    }),
    digest: ManifestDigest.nullable(),
    platform: z.string().openapi({
      description: 'Platform of the manifest; `unknown` where nobody said',
      example: 'linux/amd64',
    }),
    layer: Layer,
    path: PackagePath,
    since: instant('The later of the package reaching the image and the vulnerability being known'),
    carried: z
      .strictObject({
        engine: z.enum(FINDING_ENGINES).openapi({
          description: 'Engine that confirmed it elsewhere',
          example: 'grype',
        }),
        builtAt: instant("Build of that engine's database"),
      })
      .nullable()
      .openapi({
        description:
          "Where it was confirmed in another image with a newer database; null once the image's own scan confirmed it",
      }),
  })
  .openapi('AffectedImage')

export const AffectedImageList = listOf(AffectedImage, 'AffectedImageList')

export const DistinctValues = z
  .strictObject({
    data: z
      .array(z.string())
      .openapi({ description: 'The values, each once', example: ['CRITICAL', 'HIGH', 'MEDIUM'] }),
    meta: z.strictObject({
      field: z.enum(DISTINCT_FIELDS).openapi({ description: 'The filter asked for', example: 'severity' }),
      complete: z
        .boolean()
        .openapi({ description: 'Whether these are all: at most 1,000 are listed', example: true }),
    }),
  })
  .openapi('DistinctValues')
