import { z } from '@hono/zod-openapi'
import { FINDING_ENGINES, FIX_STATES, SEVERITIES } from '../../scanning/sensors/result.ts'
import { TRIAGE_STATUSES } from './triage-status.ts'

const instant = (description: string) =>
  z.iso.datetime().openapi({ description, example: '2026-11-20T09:30:00.000Z' })

export const EngineVerdict = z
  .strictObject({
    severity: z.enum(SEVERITIES).openapi({ description: "The engine's severity", example: 'HIGH' }),
    cvss: z.number().nullable().openapi({ description: 'CVSS score, 0.0 to 10.0', example: 8.1 }),
    fixState: z.enum(FIX_STATES).openapi({ description: 'What the engine knows of a fix', example: 'fixed' }),
    fixedVersions: z.array(z.string()).openapi({
      description: "Versions with the fix, in the engine's order",
      example: ['3.0.14-1~deb12u2'],
    }),
    databaseBuiltAt: instant('When the database was built that first confirmed it').nullable(),
  })
  .openapi('EngineVerdict')

const matchShape = {
  id: z.string().openapi({ description: 'Id, stable across rescans', example: 'vul_1c9f3k0q7x2' }),
  cveId: z.string().openapi({
    description: 'CVE id; the id of the advisory where it has no CVE',
    example: 'CVE-2024-5535',
  }),
  aliases: z
    .array(z.string())
    .openapi({ description: 'Other ids of the same vulnerability', example: ['GHSA-4fc7-mvrr-wv2c'] }),
  packageName: z.string().openapi({ description: 'Name of the package', example: 'openssl' }),
  packageType: z.string().openapi({ description: 'Type of the package, as in its purl', example: 'deb' }),
  purl: z.string().openapi({
    description: 'Package URL',
    example: 'pkg:deb/debian/openssl@3.0.11-1~deb12u2?distro=debian-12',
  }),
  installedVersion: z.string().openapi({ description: 'Version found', example: '3.0.11-1~deb12u2' }),
  fixedVersion: z
    .string()
    .nullable()
    .openapi({ description: 'Version with the fix; null where none is known', example: '3.0.14-1~deb12u2' }),
  severity: z
    .enum(SEVERITIES)
    .openapi({ description: 'The highest that an engine gives', example: 'CRITICAL' }),
  cvss: z
    .number()
    .nullable()
    .openapi({ description: "CVSS score of NVD, else GHSA's, else the distribution's", example: 9.1 }),
  cvssVector: z.string().nullable().openapi({
    description: 'Vector of that score',
    example: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:H',
  }),
  sources: z
    .array(z.enum(FINDING_ENGINES))
    .openapi({ description: 'Engines that report it', example: ['trivy', 'grype'] }),
  engines: z
    .strictObject({
      trivy: EngineVerdict.optional(),
      grype: EngineVerdict.optional(),
      osv: EngineVerdict.optional(),
    })
    .openapi({ description: 'What each of these engines says' }),
  affectedCount: z.int().openapi({
    description:
      'Live artifacts of the organization that show it. Exact; up to 1,000 where many artifacts were scanned with other engines',
    example: 12,
  }),
  triage: z
    .strictObject({
      status: z.enum(TRIAGE_STATUSES).openapi({ description: 'What was decided', example: 'OPEN' }),
    })
    .openapi({ description: 'Decision about it' }),
  timeline: z
    .strictObject({
      detectedAt: instant('When it was first seen'),
      remediatedAt: instant('When it went away; null while it is there').nullable(),
    })
    .openapi({ description: 'When it came and went' }),
}

export const Vulnerability = z.strictObject(matchShape).openapi('Vulnerability')

export const Layer = z.string().nullable().openapi({
  description: 'Digest of the layer that brought the package',
  example: 'sha256:9f1e003a1b2c3d4e5f60718293a4b5c6d7e8f90112233445566778899aabbcc0',
})

export const PackagePath = z
  .string()
  .nullable()
  .openapi({ description: 'Where the package lies in the image', example: '/var/lib/dpkg/status' })

export const ManifestDigest = z.string().openapi({
  description: 'Digest of the manifest; null where neither server nor sensor knows it',
  example: 'sha256:4c1a2b3d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809',
})

export const Finding = z
  .strictObject({
    ...matchShape,
    image: z
      .strictObject({
        id: z.string().openapi({ description: 'Id of the image', example: 'img_7m2k9q4x0v8b3n5t1r6w' }),
        name: z.string().openapi({ description: 'Registry and repository', example: 'ghcr.io/acme/api' }),
        tag: z
          .string()
          .nullable()
          .openapi({ description: 'Tag; null for a scan by digest', example: '1.27' }),
        digest: ManifestDigest.nullable(),
      })
      .openapi({ description: 'Image that shows it' }),
    layer: Layer,
    path: PackagePath,
  })
  .openapi('Finding')
