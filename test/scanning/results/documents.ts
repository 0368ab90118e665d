import fc from 'fast-check'
import type { OpenBytes, ResultSource } from '../../../src/scanning/results/index.ts'
import { Result } from '../../../src/scanning/sensors/result.ts'
import { aResult } from '../../risk/results.ts'

/** Values that a member may turn out to have, valid ones among them. */
export const ODD: unknown[] = [
  ...[
    null,
    true,
    -1,
    -0,
    0,
    1.5,
    10,
    10.01,
    2 ** 53,
    1e308,
    '',
    'x',
    '\0',
    'a\ud800b',
    '__proto__',
    'toString',
  ],
  ...[
    'x'.repeat(64),
    'x'.repeat(65),
    '💥'.repeat(64),
    '💥'.repeat(65),
    'x'.repeat(513),
    'é'.repeat(4097),
    'sha256:00',
    `sha256:${'a'.repeat(64)}`,
  ],
  ...[
    '2026-02-28T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '2026-01-05T00:00:00+02:00',
    '2026-01-05',
    'trivy',
    'syft',
  ],
  ...[
    'HIGH',
    'fixed',
    '3.1',
    [],
    {},
    [[]],
    [null],
    ['trivy'],
    ['trivy', 'nmap'],
    Array(101).fill('x'),
    Array(51).fill('x'),
  ],
  ...[
    { name: 'n', version: 'v' },
    { name: 'n' },
    [{ path: '/', layer: null }],
    [{ path: '/' }],
    Array(21).fill({}),
  ],
]

type Tree = Record<string, unknown>

/** Every path of members and elements in a tree. */
function pathsOf(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, member]) => [
    [...path, name],
    ...pathsOf(member, [...path, name]),
  ])
}

/** The tree with one member replaced, taken away, or added. */
export const changed = (tree: Tree): fc.Arbitrary<Tree> =>
  fc
    .record({
      path: fc.constantFrom(...pathsOf(tree)),
      how: fc.constantFrom('set', 'set', 'set', 'remove', 'add'),
      value: fc.constantFrom(...ODD),
    })
    .map(({ path, how, value }) => {
      const copy = structuredClone(tree)
      const parent = path.slice(0, -1).reduce<Tree>((at, name) => at[name] as Tree, copy)
      const name = how === 'add' ? 'unknown' : path.at(-1)!
      if (how === 'remove') delete parent[name]
      else parent[name] = value
      return copy
    })

const small = () => aResult({ packages: 3, findings: 4 }) as unknown as Tree

const LISTS = ['packages', 'vulnerabilities', 'findings']

/** Members in any order, some of them twice, some keys escaped, with space between them. */
const written = (tree: Tree): fc.Arbitrary<string> =>
  fc
    .record({
      order: fc.shuffledSubarray(Object.keys(tree), { minLength: Object.keys(tree).length }),
      repeated: fc.subarray(LISTS, { maxLength: 2 }),
      before: fc.constantFrom('[]', '[1]', '[ ]', '"x"', '[{"a":[1,{}]},2]', '{"packages":[1]}'),
      space: fc.constantFrom('', ' ', '\n\t '),
      escapes: fc.boolean(),
    })
    .map(({ order, repeated, before, space, escapes }) => {
      const key = (name: string) =>
        escapes ? `"\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${name.slice(1)}"` : `"${name}"`
      const json = (value: unknown) =>
        space === '' ? JSON.stringify(value) : JSON.stringify(value, null, space)
      const members = order.map((name) => `${key(name)}${space}:${space}${json(tree[name])}`)
      const all = [...repeated.map((name) => `${key(name)}:${before}`), ...members]
      return `${space}{${space}${all.join(`${space},${space}`)}}${space}`
    })

/** A text with a piece cut out, doubled or put in. */
const damaged = (text: string): fc.Arbitrary<string> =>
  fc
    .record({
      at: fc.nat(text.length),
      length: fc.nat(3),
      piece: fc.constantFrom(
        '',
        '"',
        '\\',
        ',',
        ':',
        '{',
        '}',
        '[',
        ']',
        ',,',
        '[]',
        '{}',
        'null',
        ' ',
        '\u00a0',
        '\ufeff',
        'é',
      ),
    })
    .map(({ at, length, piece }) => text.slice(0, at) + piece + text.slice(at + length))

/** Envelopes as texts: valid, with a member that is not, and damaged ones. */
export const documents: fc.Arbitrary<string> = fc.oneof(
  fc.constant(small()).chain(written),
  fc.constant(small()).chain(changed).chain(written),
  fc.constant(small()).chain(written).chain(damaged),
)

/** Opens bytes as storage does, in chunks of these sizes. */
export const opened =
  (bytes: Uint8Array, chunk: number): OpenBytes =>
  async ({ offset, length } = { offset: 0, length: bytes.length }) => {
    let at = offset
    return new ReadableStream({
      pull(controller) {
        const end = Math.min(at + chunk, offset + length)
        if (at < end) controller.enqueue(bytes.slice(at, end))
        else controller.close()
        at = end
      },
    })
  }

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** What the whole document in memory is by its schema. */
export function byItsSchema(text: string): Result | null {
  try {
    return Result.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}

export async function wholeOf(source: ResultSource | null): Promise<Result | null> {
  if (!source) return null
  const lists = { packages: [], vulnerabilities: [], findings: [] } as Pick<
    Result,
    'packages' | 'vulnerabilities' | 'findings'
  >
  for await (const slice of source.packages()) lists.packages.push(...slice)
  for await (const slice of source.vulnerabilities()) lists.vulnerabilities.push(...slice)
  for await (const slice of source.findings()) lists.findings.push(...slice)
  return { ...source.head, ...lists }
}
