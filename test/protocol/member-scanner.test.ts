import fc from 'fast-check'
import { expect, it } from 'vitest'
import { MemberScanner } from '../../src/scanning/sensors/member-scanner.ts'

const scanned = (text: string, cut: number) => {
  const scanner = new MemberScanner()
  const bytes = new TextEncoder().encode(text)
  for (let at = 0; at < bytes.length; at += cut) scanner.add(bytes.subarray(at, at + cut))
  return scanner.head
}

it('finds what an upload is addressed by in any document, wherever it stands and however it is cut', () => {
  const member = fc.oneof(fc.constantFrom('version', 'fence', 'requestId', 'image', 'scan'), fc.string())
  const value = fc.oneof(fc.record({ id: fc.string() }), fc.jsonValue({ maxDepth: 4 }), fc.string())
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(member, value), { selector: ([name]) => name, maxLength: 12 }),
      fc.integer({ min: 1, max: 30 }),
      fc.constantFrom(0, 2),
      (members, cut, indent) => {
        const document = Object.fromEntries(members.filter(([name]) => name !== '__proto__'))
        const text = JSON.stringify(document, null, indent)
        const parsed = JSON.parse(text)
        const head = scanned(text, cut)
        const { version, fence, requestId, image, scan } = parsed
        expect(head).toEqual(
          JSON.parse(JSON.stringify({ version, fence, requestId, image, scanId: scan?.id })),
        )
      },
    ),
    { seed: 20261128, numRuns: 1000 },
  )
})

it.each(['', '{', '[', '}', '"', 'null', '{"version"', '{"version":', '{"scan":{"id":"x"', '}{,:"\\'])(
  'of text that is cut off or none finds nothing: %s',
  (text) => {
    expect(scanned(text, 1).scanId).toBeUndefined()
  },
)
