import { describe, expect, it } from 'vitest'
import { lastWords } from '../src/engines/engine.ts'
import { engineTable } from '../src/engines/engine-table.ts'
import { createScrub } from '../src/job/scrub.ts'

const drivers = engineTable({ trivyCacheDir: '/t', grypeCacheDir: '/g', samples: null })

// recorded from trivy 0.76.0 and grype 0.110.0
describe("an engine's own words", () => {
  it.each([
    [
      'trivy',
      '2026-11-21T03:50:37Z\tFATAL\tFatal error\trun error: init error: DB error: error in vulnerability DB initialization: failed to open db: invalid database',
      'database_unavailable',
    ],
    ['trivy', 'ERROR\t--skip-db-update cannot be specified on the first run', 'database_unavailable'],
    ['trivy', 'The first run cannot skip downloading Java DB', 'database_unavailable'],
    ['trivy', 'cannot be specified with the old DB schema. Local DB: 1, Expected: 2', 'database_unavailable'],
    ['trivy', "the version of DB schema doesn't match. Local DB: 3, Expected: 2", 'database_unavailable'],
    [
      'trivy',
      'panic: page 3 already freed\n\ngoroutine 1 [running]:\ngo.etcd.io/bbolt.(*DB).page(...)',
      'database_unavailable',
    ],
    [
      'trivy',
      'panic: runtime error: index out of range\n\ngoroutine 1 [running]:\nmain.main()',
      'engine_failed',
    ],
    ['trivy', 'FATAL\timage scan error: context deadline exceeded', 'engine_timeout'],
    [
      'grype',
      '[0000] ERROR failed to load vulnerability db: database does not exist',
      'database_unavailable',
    ],
    [
      'grype',
      '[0000] ERROR failed to load vulnerability db: the vulnerability database was built 2 weeks ago (max allowed age is 5 days)',
      'database_too_old',
    ],
    [
      'grype',
      '[0000] ERROR failed to load vulnerability db: failed to open db: unable to connect to DB: file is not a database',
      'database_unavailable',
    ],
    ['grype', '[0000] ERROR failed to catalog: boom', 'engine_failed'],
    ['syft', '[0000] ERROR could not determine source', 'engine_failed'],
  ] as const)('of %s: %s mean %s', (name, stderr, code) => {
    expect(drivers[name].classify(stderr).code).toBe(code)
  })

  it('are told without warnings and time stamps, at a bounded length', () => {
    const stderr =
      '2026-11-21T03:50:37Z\tINFO\tDetected OS\n[0000]  WARN schema is newer\n2026-11-21T03:50:37Z\tFATAL\tboom\n\n'
    expect(lastWords(stderr)).toBe('FATAL boom')
    expect(lastWords('[0000]  WARN only this\n')).toBe('WARN only this')
    expect(lastWords(`ERROR ${'x'.repeat(2000)} end`)).toMatch(/^ERROR x.{290,}end$/)
    expect(lastWords('x'.repeat(2000)).length).toBe(300)
    expect(lastWords('WARN x\npanic: boom\n\ngoroutine 1 [running]:\nmain.main()\n')).toBe('panic: boom')
    expect(lastWords('')).toBe('')
  })
})

describe('the commands', () => {
  const input = {
    layoutDir: '/job/image',
    sourceName: 'r.io/a:1',
    syftJson: '/job/syft.json',
    outDir: '/out',
    timeoutMs: 90_000,
  }

  it('of trivy read the layout, write no cache and fetch nothing', () => {
    const { args, env } = drivers.trivy.command(input)
    expect(args.slice(0, 3)).toEqual(['image', '--input', '/job/image'])
    for (const [flag, value] of [
      ['--config', ''],
      ['--ignorefile', ''],
      ['--scanners', 'vuln'],
      ['--timeout', '90s'],
    ])
      expect(args[args.indexOf(flag!) + 1]).toBe(value)
    for (const name of [
      'SKIP_DB_UPDATE',
      'SKIP_JAVA_DB_UPDATE',
      'SKIP_VEX_REPO_UPDATE',
      'OFFLINE_SCAN',
      'SKIP_VERSION_CHECK',
      'DISABLE_TELEMETRY',
    ])
      expect(env[`TRIVY_${name}`]).toBe('true')
    expect(env.TRIVY_CACHE_BACKEND).toBe('memory')
  })

  it('of syft write the SBOMs that the product promises', () => {
    expect(drivers.syft.command(input).args).toEqual([
      ...['scan', 'oci-dir:/job/image', '--source-name', 'r.io/a:1', '--output', 'syft-json=/out/syft.json'],
      ...[
        '--output',
        'cyclonedx-json@1.5=/out/sbom.cdx.json',
        '--output',
        'spdx-json@2.3=/out/sbom.spdx.json',
      ],
    ])
  })

  it('of grype neither update nor look for a newer grype', () => {
    const { args, env } = drivers.grype.command(input)
    expect(args).toEqual(['sbom:/job/syft.json', '--output', 'json'])
    expect(env).toMatchObject({
      GRYPE_DB_AUTO_UPDATE: 'false',
      GRYPE_CHECK_FOR_APP_UPDATE: 'false',
      GRYPE_DB_CACHE_DIR: '/g',
    })
  })
})

describe('the scrub', () => {
  it('replaces longer paths first, so that none is left in part', () => {
    const scrub = createScrub([
      ['/work', 'work'],
      ['/work/job/image', 'r.io/a:1'],
      ['/work/job', 'job'],
    ])
    expect(scrub.text('"/work/job/image (debian 12.5)" "/work/job/home/.m2" "/work/db"')).toBe(
      '"r.io/a:1 (debian 12.5)" "job/home/.m2" "work/db"',
    )
  })
})
