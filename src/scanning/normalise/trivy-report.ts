import { z } from 'zod'

const text = z.string().nullish()
const number = z.number().nullish()
const texts = z.array(z.string()).nullish()
const layer = z.object({ DiffID: text }).nullish()
const identifier = z.object({ PURL: text, UID: text }).nullish()

export const TrivyPackage = z.object({
  Name: z.string().min(1),
  Version: text,
  Release: text,
  Epoch: number,
  SrcName: text,
  SrcVersion: text,
  SrcRelease: text,
  SrcEpoch: number,
  Modularitylabel: text,
  Identifier: identifier,
  Licenses: texts,
  FilePath: text,
  Layer: layer,
  AnalyzedBy: text,
})
export type TrivyPackage = z.infer<typeof TrivyPackage>

const TrivyVulnerability = z.object({
  VulnerabilityID: z.string().min(1),
  VendorIDs: texts,
  PkgName: z.string().min(1),
  PkgPath: text,
  PkgIdentifier: identifier,
  InstalledVersion: text,
  FixedVersion: text,
  Status: text,
  Severity: text,
  Layer: layer,
  PrimaryURL: text,
  References: texts,
  Title: text,
  Description: text,
  CweIDs: texts,
  CVSS: z
    .record(
      z.string(),
      z.object({
        V2Vector: text,
        V2Score: number,
        V3Vector: text,
        V3Score: number,
        V40Vector: text,
        V40Score: number,
      }),
    )
    .nullish(),
  PublishedDate: text,
  LastModifiedDate: text,
})
export type TrivyVulnerability = z.infer<typeof TrivyVulnerability>

/** The members of trivy's report (`SchemaVersion` 2) that are read; others are ignored. */
export const TrivyReport = z.object({
  SchemaVersion: z.literal(2),
  ArtifactName: z.string(),
  Metadata: z
    .object({ OS: z.object({ Family: text, Name: text, EOSL: z.boolean().nullish() }).nullish() })
    .nullish(),
  Results: z
    .array(
      z.object({
        Target: text,
        Class: text,
        Type: text,
        Packages: z.array(TrivyPackage).nullish(),
        Vulnerabilities: z.array(TrivyVulnerability).nullish(),
      }),
    )
    .nullish(),
})
type TrivyReport = z.infer<typeof TrivyReport>
export type TrivyOs = NonNullable<NonNullable<TrivyReport['Metadata']>['OS']>
export type TrivyResult = NonNullable<TrivyReport['Results']>[number]
