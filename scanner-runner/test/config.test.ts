import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Config, parseConfig } from '../src/config.ts'

const KEY = `hg_rk_${'0a'.repeat(24)}`
const LEAST = { HG_DASHBOARD_URL: 'https://hg.example', HG_API_KEY: KEY }
const noFile = () => {
  throw new Error('ENOENT')
}

function config(env: Record<string, string>): Config {
  const parsed = parseConfig({ ...LEAST, ...env }, noFile)
  if (!parsed.ok) throw new Error(parsed.problems.join('; '))
  return parsed.config
}

function problems(env: Record<string, string | undefined>): string[] {
  const parsed = parseConfig(env, noFile)
  return parsed.ok ? [] : parsed.problems.map((problem) => problem.split(' ')[0] ?? '')
}

describe('the configuration', () => {
  it('needs only an address and a key', () => {
    expect(config({})).toMatchObject({
      dashboardUrl: 'https://hg.example',
      apiKey: KEY,
      pollIntervalMs: 2000,
      concurrency: 1,
      allowPrivateNetworks: false,
      sampleDatabases: null,
      enabledScanners: ['trivy', 'grype', 'syft'],
    })
  })

  it.each([
    ['https://hg.example/', 'https://hg.example'],
    ['https://hg.example/prefix//', 'https://hg.example/prefix'],
    ['http://127.0.0.1:8787/a/b', 'http://127.0.0.1:8787/a/b'],
  ])('keeps the path prefix of %s', (given, kept) => {
    expect(config({ HG_DASHBOARD_URL: given }).dashboardUrl).toBe(kept)
  })

  it('reads the key from a file', () => {
    const parsed = parseConfig(
      { HG_DASHBOARD_URL: 'https://hg.example', HG_API_KEY_FILE: '/run/key' },
      () => `${KEY}\n`,
    )
    expect(parsed).toMatchObject({ ok: true, config: { apiKey: KEY } })
  })

  it('takes samples only from HG_SAMPLE_DATABASES, which then wins over the cache directories', () => {
    const given = { TRIVY_CACHE_DIR: '/t', GRYPE_DB_CACHE_DIR: '/g' }
    expect(config(given)).toMatchObject({ trivyCacheDir: '/t', grypeCacheDir: '/g', sampleDatabases: null })
    expect(config({ ...given, HG_SAMPLE_DATABASES: '/s' })).toMatchObject({
      trivyCacheDir: '/s/trivy',
      grypeCacheDir: '/s/grype',
      sampleDatabases: '/s',
    })
  })

  it.each([
    ['HG_DASHBOARD_URL', 'ftp://hg.example'],
    ['HG_DASHBOARD_URL', 'https://user:pass@hg.example'],
    ['HG_API_KEY', 'password123'],
    ['HG_POLL_INTERVAL_MS', '5'],
    ['HG_POLL_INTERVAL_MS', '2s'],
    ['HG_CONCURRENCY', '5'],
    ['HG_POLL_WAIT_SECONDS', '26'],
    ['HG_LABELS', 'two words'],
    ['HG_LABELS', Array.from({ length: 21 }, (_, at) => `l${at}`).join()],
    ['HG_METRICS_PORT', '70000'],
    ['HG_METRICS_PORT', 'on'],
    ['HG_SCAN_TIMEOUT_MINUTES', '61'],
    ['HG_MAX_IMAGE_BYTES', '-1'],
    ['HG_ENABLED_SCANNERS', 'trivy,nessus'],
    ['HG_ENABLED_SCANNERS', ','],
    ['HG_ALLOW_PRIVATE_NETWORKS', 'yes'],
    ['HG_LOG_LEVEL', 'loud'],
    ['HG_WORK_DIR', '/tmp/a"b'],
  ])('names %s when it is %s, and nothing else', (name, value) => {
    expect(problems({ ...LEAST, [name]: value })).toEqual([name])
  })

  it.each([
    ['', { port: 9464, isChosen: false }],
    ['9464', { port: 9464, isChosen: true }],
    ['0', { port: 0, isChosen: true }],
    ['off', null],
  ])('takes %j as the port of its metrics', (given, metrics) => {
    expect(config({ HG_METRICS_PORT: given }).metrics).toEqual(metrics)
  })

  it('names every variable that is missing at once', () => {
    expect(problems({})).toEqual(['HG_DASHBOARD_URL', 'HG_API_KEY'])
    expect(problems({ ...LEAST, HG_API_KEY: undefined, HG_API_KEY_FILE: '/none' })).toEqual([
      'HG_API_KEY_FILE',
    ])
  })

  it('never repeats a value', () => {
    const parsed = parseConfig({ HG_DASHBOARD_URL: 'https://u:canary-1@h', HG_API_KEY: 'canary-2' }, noFile)
    expect(JSON.stringify(parsed)).not.toContain('canary')
  })

  it('is what README.md lists, variable by variable', () => {
    const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
    const known = [...read('../src/config.ts').matchAll(/^ {2}((?:HG|TRIVY|GRYPE)_[A-Z_]+):/gm)].map(
      ([, name]) => name!,
    )
    const table = read('../README.md').split('## Environment')[1]!.split('\n\n')[1]!
    const listed = [...table.matchAll(/^\|([^|]+)\|/gm)].flatMap(
      ([, cell]) => cell!.match(/[A-Z]+(?:_[A-Z]+)+/g) ?? [],
    )
    expect(listed.toSorted()).toEqual([...known, 'HG_API_KEY_FILE'].toSorted())
  })
})
