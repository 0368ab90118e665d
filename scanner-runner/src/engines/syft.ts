import { join } from 'node:path'
import { z } from 'zod'
import type { SbomFormat } from '../../../src/scanning/sensors/protocol.ts'
import { checkPlatform, classifyBy, type EngineDriver, versionMember } from './engine.ts'

const TIMEOUT_MS = 10 * 60_000

const Report = z.object({
  schema: z.object({ version: z.string() }),
  artifacts: z.array(z.unknown()),
  source: z.object({ metadata: z.object({ os: z.string(), architecture: z.string() }) }),
})

interface SbomFile {
  format: SbomFormat
  file: string
  output: string
  mediaType: string
}

/** The SBOMs that the product promises: CycloneDX 1.5 and SPDX 2.3, stored byte for byte as syft writes them. */
export const SBOMS: readonly SbomFile[] = [
  {
    format: 'cyclonedx',
    file: 'sbom.cdx.json',
    output: 'cyclonedx-json@1.5',
    mediaType: 'application/vnd.cyclonedx+json; version=1.5',
  },
  {
    format: 'spdx',
    file: 'sbom.spdx.json',
    output: 'spdx-json@2.3',
    mediaType: 'application/spdx+json; version=2.3',
  },
]

export const syft: EngineDriver = {
  name: 'syft',
  timeoutMs: TIMEOUT_MS,
  versionArgs: ['version', '--output', 'json'],
  readVersion: (stdout) => versionMember(stdout, 'version'),
  command: ({ layoutDir, outDir, sourceName }) => {
    const report = join(outDir, 'syft.json')
    const sboms = SBOMS.map(({ output, file }) => ({ output, path: join(outDir, file) }))
    return {
      args: [
        ...['scan', `oci-dir:${layoutDir}`, '--source-name', sourceName, '--output', `syft-json=${report}`],
        ...sboms.flatMap(({ output, path }) => ['--output', `${output}=${path}`]),
      ],
      env: { SYFT_CHECK_FOR_APP_UPDATE: 'false' },
      report,
      stdout: false,
      outputs: [report, ...sboms.map(({ path }) => path)],
    }
  },
  check: (report, platform) => {
    const parsed = Report.safeParse(report)
    if (!parsed.success) return { code: 'engine_output_invalid', detail: 'It is not a syft document.' }
    const { os, architecture } = parsed.data.source.metadata
    return checkPlatform(os, architecture, platform)
  },
  classify: (stderr) => classifyBy([], stderr),
}
