import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type BoltBucket, writeBolt } from '../../../dev/sample/databases/bolt.ts'
import { readBolt } from './bolt-reader.ts'

const entries = (bucket: ReadonlyMap<string, unknown>): unknown[] =>
  [...bucket]
    .map(([key, value]) => [key, value instanceof Map ? entries(value) : value])
    .sort(([a], [b]) => Buffer.compare(Buffer.from(a as string), Buffer.from(b as string)))

const key = fc.string({ minLength: 1, maxLength: 40 })
const flat = fc
  .array(fc.tuple(key, fc.string({ maxLength: 600 })), { maxLength: 60 })
  .map((items) => new Map(items) as BoltBucket)
const nested = fc
  .array(fc.tuple(key, fc.oneof(flat, fc.string({ maxLength: 50 }))), { maxLength: 20 })
  .map((items) => new Map(items) as BoltBucket)
const root = fc.array(fc.tuple(key, nested), { maxLength: 8 }).map((items) => new Map(items))

describe('writeBolt', () => {
  it('writes what a reader of the format reads back', () => {
    fc.assert(
      fc.property(root, (buckets) => {
        expect(entries(readBolt(writeBolt(buckets)))).toEqual(entries(buckets))
      }),
      { numRuns: 60 },
    )
  })

  it('gives the same bytes whatever the order of insertion', () => {
    fc.assert(
      fc.property(root, (buckets) => {
        const reversed = new Map(
          [...buckets]
            .reverse()
            .map(([name, bucket]) => [name, new Map([...bucket].reverse()) as BoltBucket]),
        )
        expect(writeBolt(reversed).equals(writeBolt(buckets))).toBe(true)
      }),
      { numRuns: 30 },
    )
  })

  it('stacks branch pages over a bucket of many keys', () => {
    const bucket: BoltBucket = new Map()
    for (let index = 0; index < 20_000; index++)
      bucket.set(`CVE-2024-${index}`, `{"FixedVersion":"1.${index}"}`)
    const read = readBolt(writeBolt(new Map([['debian 12', bucket]]))).get('debian 12')
    expect(read).toBeInstanceOf(Map)
    expect(entries(read as BoltBucket)).toEqual(entries(bucket))
  })

  it('gives a value longer than a page its overflow pages', () => {
    const long = 'x'.repeat(3 * 4096)
    const read = readBolt(writeBolt(new Map([['a', new Map([['key', long]]) as BoltBucket]])))
    expect((read.get('a') as BoltBucket).get('key')).toBe(long)
  })
})
