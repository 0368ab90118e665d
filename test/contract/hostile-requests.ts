import fc from 'fast-check'
import { z } from 'zod'
import type { Endpoint } from '../../src/http/endpoint.ts'

/** One request as a hostile or careless client sends it. */
export interface HostileRequest {
  path: string
  headers: [string, string][]
  body: string | Uint8Array<ArrayBuffer> | undefined
}

const DEEP = 10_000
const LONG = 10_000

const oneOf = <T>(...values: T[]) => fc.constantFrom(...values)

/** Texts that parsers, databases and templates trip over. */
const hostileText = oneOf(
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  'x\udfff',
  '\u001b[31m\r\nX-Injected: 1',
  '__proto__',
  'constructor',
  'toString',
  '../../etc/passwd',
  '..%2f..',
  "' OR 1=1 --",
  '%',
  '%%_\\',
  '"*" NEAR(a b)',
  '{{7*7}}',
  '\u212b\u0041\u030a\ufeff',
  '\u202e\u0000\uffff',
  'null',
  'NaN',
  '-0',
  '1e309',
  'a'.repeat(LONG),
  '💥'.repeat(200),
)

const hostileNumber = oneOf(
  -1,
  0,
  0.5,
  -0,
  1e308,
  Number.MAX_SAFE_INTEGER + 2,
  -(2 ** 63),
  2 ** 64,
  8.64e15 + 1,
)

const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  hostileNumber,
  oneOf<unknown>(null, true, [], {}, [null], [[[]]], { $ne: null }),
  fc.jsonValue({ maxDepth: 3 }),
)

type Schema = Record<string, unknown>

/** JSON that the schema mostly accepts. */
function accepted(schema: Schema): fc.Arbitrary<unknown> {
  const { type, properties, items, anyOf, pattern } = schema as {
    type?: string
    properties?: Record<string, Schema>
    items?: Schema
    anyOf?: Schema[]
    pattern?: string
  }
  if (Array.isArray(schema.examples)) return fc.oneof(oneOf(...schema.examples), hostileValue)
  if ('const' in schema) return fc.constant(schema.const)
  if (Array.isArray(schema.enum)) return oneOf(...schema.enum)
  if (anyOf) return fc.oneof(...anyOf.map(accepted))
  if (type === 'array') return fc.array(accepted(items ?? {}), { maxLength: 4 })
  if (type === 'object') {
    const members = Object.entries(properties ?? {}).map(([name, one]) => [name, accepted(one)] as const)
    return fc.record(Object.fromEntries(members), { requiredKeys: (schema.required as never[]) ?? [] })
  }
  if (type === 'boolean') return fc.boolean()
  if (type === 'integer' || type === 'number') return fc.oneof(fc.nat({ max: 100 }), hostileNumber)
  if (type === 'string' && pattern) {
    return fc.stringMatching(new RegExp(pattern)).filter((text) => text.length < 300)
  }
  if (type === 'string') return fc.oneof(fc.string({ minLength: 1, maxLength: 40 }), hostileText)
  return hostileValue
}

/** One member somewhere replaced, removed, or added under a name that objects already have. */
const bent = (value: unknown, [where, how, by]: [number, number, unknown]): unknown => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return by
  const names = Object.keys(value)
  const name = names[where % Math.max(1, names.length)] ?? 'x'
  if (how === 0) return { ...value, [name]: by }
  if (how === 1) return Object.fromEntries(Object.entries(value).filter(([key]) => key !== name))
  if (how === 2) return { ...value, [['prototype', 'hasOwnProperty', 'toJSON', 'then'][where % 4]!]: by }
  return { ...value, [name]: bent((value as Record<string, unknown>)[name], [where >> 2, 0, by]) }
}

/** Texts around a document that are not that document any more, or say the same member twice. */
const TEXTS: ((json: string) => string)[] = [
  ...Array.from({ length: 15 }, () => (json: string) => json),
  (json) => `\ufeff${json}`,
  (json) => json.slice(0, -1),
  (json) => `${json}${json}`,
  (json) => json.replace('{', '{"__proto__":{"admin":true},"constructor":{"prototype":{}},'),
  (json) => json.replace(/^\{("(?:[^"\\]|\\.)*"):/, '{$1:null,$1:'),
  (json) => json.replace('{', `{"deep":${'['.repeat(DEEP)}${']'.repeat(DEEP)},`),
  () => '['.repeat(DEEP),
  () => `${'{"a":'.repeat(DEEP)}1${'}'.repeat(DEEP)}`,
  (json) => json.replace(/\d+/, '1e999'),
  (json) => json.replace(/"/, '"\\ud800\\u0000'),
  (json) => json.replace(/:/, ':NaN,"x":'),
  () => '',
  () => 'null',
  () => '"text"',
  () => `{${Array.from({ length: 3000 }, (_, i) => `"k${i}":1`).join(',')}}`,
]

/** What the caller may name: bodies that fit an operation, and ids by path parameter. */
export interface Known {
  bodies: Record<string, Record<string, unknown>>
  ids: Record<string, readonly string[]>
}

function bodyOf(
  { route }: Endpoint,
  { bodies }: Known,
): fc.Arbitrary<string | Uint8Array<ArrayBuffer> | undefined> {
  if (route.method === 'get') return fc.constant(undefined)
  const bytes = fc.uint8Array({ maxLength: 64 }).map((some) => new Uint8Array(some))
  if (!route.body) return fc.oneof(bytes, fc.json(), fc.constant(undefined))
  const schema = z.toJSONSchema(route.body, { io: 'input', unrepresentable: 'any' }) as Schema
  const fitting = bodies[route.operationId] ?? {}
  const bend = fc.tuple(fc.nat(), fc.nat({ max: 3 }), hostileValue)
  const documents = fc
    .tuple(fc.oneof(accepted(schema), fc.constant(fitting)), fc.option(bend), oneOf(...TEXTS))
    .map(([value, how, text]) => text(JSON.stringify(how ? bent(value, how) : value)))
  return fc.oneof({ weight: 9, arbitrary: documents }, { weight: 1, arbitrary: bytes })
}

const encoded = (text: string) => encodeURIComponent(text.toWellFormed())

const hostileSegment = fc.oneof(
  hostileText.map((text) => encoded(text) || '%20'),
  oneOf('%00', '%', '%E0%A4%A', '%ED%A0%80', '%C0%AF', '%2e%2e', '%2F', '...', ';a=b', '%0d%0aX:1', '@', '+'),
  fc.string({ minLength: 1, maxLength: 30 }).map(encoded),
)

function pathOf({ route }: Endpoint, { ids }: Known): fc.Arbitrary<string> {
  const parts = route.path.split(/(\{\w+\})/).map((part) => {
    const name = /^\{(\w+)\}$/.exec(part)?.[1]
    if (name === undefined) return fc.constant(part)
    const fitting = { weight: 3, arbitrary: oneOf(...(ids[name] ?? ['vul_1'])) }
    const foreign = { weight: 1, arbitrary: oneOf(...Object.values(ids).flat()) }
    return fc.oneof(fitting, foreign, { weight: 2, arbitrary: hostileSegment })
  })
  return fc.tuple(...parts).map((texts) => texts.join(''))
}

const PARAMETERS =
  'page,limit,pageSize,sort,cursor,search,severity,status,imageId,image,packageName,fixable,format,agentId,fence,scanner,layer,field,column,registryId,__proto__,constructor,x[]'.split(
    ',',
  )

const queryValue = fc.oneof(
  hostileText.map(encoded),
  oneOf(
    'severity',
    '9007199254740993',
    '1e3',
    '-1',
    '0',
    '200',
    'CRITICAL',
    'CRITICAL,high,,',
    'severity:asc',
    'true',
  ),
  oneOf('%00', '%', '%FF', '%ED%A0%80', 'WzFd', 'eyJhIjoxfQ', 'AAAA=', 'null', '[]', '{}'),
)

const query = fc
  .array(fc.tuple(oneOf(...PARAMETERS), queryValue), { maxLength: 4 })
  .map((pairs) => (pairs.length ? `?${pairs.map(([name, value]) => `${name}=${value}`).join('&')}` : ''))

const ODD_HEADERS: [string, string][] = [
  ['Content-Type', 'text/plain'],
  ['Content-Type', 'application/json; charset=utf-16'],
  ['Content-Type', 'APPLICATION/JSON ;;;'],
  ['Content-Type', ',application/json'],
  ['Content-Encoding', 'gzip'],
  ['Content-Length', '0'],
  ['Content-Length', '99999999999'],
  ['Content-Length', '-1'],
  ['Content-Length', 'NaN'],
  ['Expect', '100-continue'],
  ['Authorization', 'Bearer hg_ak_0, Bearer hg_ak_1'],
  ['Authorization', 'Basic Og=='],
  ['X-API-Key', ''],
  ['X-API-Key', 'hg_ak_0 hg_ak_1'],
  ['Idempotency-Key', ''],
  ['Idempotency-Key', 'a b'],
  ['Idempotency-Key', 'k'.repeat(256)],
  ['Idempotency-Key', "k'--"],
  ['X-D1-Bookmark', 'junk'],
  ['X-D1-Bookmark', 'first-unconstrained'],
  ['X-D1-Bookmark', 'ffffffff-ffffffff-00004c6d-8e61117bf38d7adb71b934ebbf891683'],
  ['If-None-Match', '"'.repeat(2000)],
  ['Range', 'bytes=9-1,-0'],
  ['Accept', 'x/y;q=NaN'],
  ['X-HTTP-Method-Override', 'DELETE'],
  ['X-Forwarded-Host', 'evil.example'],
]

/** Requests for one operation. */
export const hostileRequest = (endpoint: Endpoint, known: Known): fc.Arbitrary<HostileRequest> =>
  fc.record({
    path: fc.tuple(pathOf(endpoint, known), query).map((parts) => parts.join('')),
    headers: fc.oneof(
      { weight: 2, arbitrary: fc.constant<[string, string][]>([]) },
      { weight: 1, arbitrary: fc.array(oneOf(...ODD_HEADERS), { maxLength: 3 }) },
    ),
    body: bodyOf(endpoint, known),
  })
