import type { Job, Result } from '../../src/scanning/sensors/protocol.ts'

/** Makes an honest result for a job hostile: the document, or the text that is sent instead. */
export type Change = (result: Result, job: Job) => unknown

type Members = Record<string, unknown>

/** The member at a dotted path becomes `value`. */
export const set =
  (path: string, value: unknown): Change =>
  (result) => {
    const names = path.split('.')
    const last = names.pop()!
    const parent = names.reduce<Members>((at, name) => at[name] as Members, result as unknown as Members)
    parent[last] = value
    return result
  }

/** The list at `path` gets its first element once more, with what is different about it. */
const again =
  (path: 'packages' | 'vulnerabilities' | 'findings' | 'engines', change: object): Change =>
  (result) => {
    const list = result[path] as object[]
    list.push({ ...structuredClone(list[0]!), ...change })
    return result
  }

const both =
  (first: Change, second: Change): Change =>
  (result, job) =>
    second(first(result, job) as Result, job)

const replaced =
  (old: string, by: string): Change =>
  (result) =>
    JSON.stringify(result).replace(old, by)

/** The second and third entry of a list say what the first says, but for one member. */
const twins = (path: 'packages' | 'vulnerabilities', member: string, texts: [string, string]): Change =>
  both(
    (result) => set(`${path}.1`, { ...result[path][0], [member]: texts[0] })(result, {} as Job),
    (result) => set(`${path}.2`, { ...result[path][0], [member]: texts[1] })(result, {} as Job),
  )

const DEEP = `${'['.repeat(10_000)}${']'.repeat(10_000)}`

/** Accepted as uploads, refused when they are read: FAILED result_invalid. */
export const INVALID: [string, Change][] = [
  ['an index of a package that is not there', set('findings.0.package', 9999)],
  ['an index of an advisory that is not there', set('findings.0.vulnerability', 2 ** 31)],
  ['a negative index', set('findings.0.package', -1)],
  ['an index beyond 2^53', set('findings.0.package', 2 ** 60)],
  ['a broken index', set('findings.0.package', 0.5)],
  ['another digest', set('image.digest', `sha256:${'f'.repeat(64)}`)],
  ['another platform', set('image.platform', 'linux/arm64')],
  ['a platform that is none', set('image.platform', '../../linux')],
  ['a digest of another form', set('image.digest', 'sha256:../../../etc/passwd')],
  ['a layer of another form', set('image.layers.0.digest', 'x')],
  ['a date in the year 275760', set('engines.0.database.builtAt', '+275760-09-13T00:00:00Z')],
  ['a date that does not exist', set('vulnerabilities.0.publishedAt', '2026-02-30T00:00:00Z')],
  ['a score above 10', set('findings.0.cvss', [{ source: 'x', version: '3.1', vector: 'x', score: 11 }])],
  ['an unknown engine', set('findings.0.engine', '__proto__')],
  ['an unknown severity', set('findings.0.severity', 'toString')],
  ['a size beyond 2^53', set('image.sizeBytes', 2 ** 60)],
  ['a name of 10,000 characters', set('packages.0.name', 'n'.repeat(10_000))],
  ['no engine at all', set('engines', [])],
  ['a list where a package is', set('packages.0', [])],
  ['the end cut off', (result) => JSON.stringify(result).slice(0, -200)],
  ['something behind its end', (result) => `${JSON.stringify(result)}{}`],
  ['10,000 lists in each other', replaced('"logs":[', `"logs":[${DEEP}`)],
  ['a number that is none', replaced('"durationMs":1000', '"durationMs":1e999')],
]

/** Refused at once, with the code: not about a job that the caller holds, or not an envelope. */
export const REFUSED: [string, Change, string][] = [
  ['another job', (r, job) => set('scan.id', job.id.replace(/.{4}$/, '0000'))(r, job), 'lease_lost'],
  [
    "another organization's job",
    (r, job) => set('scan.id', job.id.replace(/-\w+-/, '-1-'))(r, job),
    'lease_lost',
  ],
  [
    'a shard that is not there',
    (r, job) => set('scan.id', job.id.replace(/^\w+/, 'zz'))(r, job),
    'lease_lost',
  ],
  ['a path as its id', set('scan.id', '../../etc'), 'lease_lost'],
  ['a fence to come', set('fence', 2), 'lease_lost'],
  ['a fence beyond 2^53', set('fence', 2 ** 60), 'VALIDATION_ERROR'],
  ['a fence that is a text', set('fence', '1'), 'VALIDATION_ERROR'],
  ['another version', set('version', '9'), 'VALIDATION_ERROR'],
  ['no id', set('scan', null), 'VALIDATION_ERROR'],
  ['nothing', () => ' ', 'VALIDATION_ERROR'],
  ['10,000 open lists', () => '['.repeat(10_000), 'VALIDATION_ERROR'],
  ['a head cut off', (result) => JSON.stringify(result).slice(0, 20), 'VALIDATION_ERROR'],
]

/** Odd, and stored. */
export const HARMLESS: [string, Change][] = [
  ['members that objects have already', replaced('"logs"', '"__proto__":{"fence":9},"constructor":1,"logs"')],
  ['a record under such a name', set('sensor.scannerVersions', JSON.parse('{"__proto__":"1"}'))],
  ['two findings about one package', again('findings', { severity: 'LOW' })],
  ['the same package twice', again('packages', {})],
  ['two advisories of one id', again('vulnerabilities', { title: 'x' })],
  ['an engine twice', again('engines', { status: 'failed' })],
  ['markup, quotes and line ends in its texts', set('packages.0.name', '<b>\'"\r\n\u001b[0m')],
  ['NUL and half pairs in logs', set('logs', ['\0', '\ud800'])],
  ['NUL and half pairs in commands', set('image.layers.0.command', '\0\ud800')],
  ['NUL and half pairs in titles', set('vulnerabilities.0.title', 'a\0\ud800')],
  ['NUL and half pairs in paths', set('packages.0.locations.0.path', '/\0\udfff')],
  [
    'blobs that were never uploaded',
    set('sboms', [{ format: 'spdx', sha256: '0'.repeat(64), size: 1, mediaType: 'x\r\ny' }]),
  ],
]

/** Two texts that a database may hold as one. */
export const COLLIDING: [string, Change][] = [
  ['NUL in names', twins('packages', 'name', ['a\0b', 'a\0c'])],
  ['half pairs in names', twins('packages', 'name', ['a\ud800', 'a\ud801'])],
  ['NUL in versions', twins('packages', 'version', ['1\0a', '1\0b'])],
  ['half pairs in distributions', twins('packages', 'distro', ['\ud800', '\udfff'])],
  ['NUL in advisory ids', twins('vulnerabilities', 'id', ['CVE\0a', 'CVE\0b'])],
  [
    'half pairs in advisory ids of one package',
    both(
      twins('vulnerabilities', 'id', ['CVE\ud800', 'CVE\udfff']),
      both(again('findings', { vulnerability: 1 }), again('findings', { vulnerability: 2 })),
    ),
  ],
]
