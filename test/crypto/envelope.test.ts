import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ciphertextKeyId,
  createWrappedKey,
  open,
  type SecretLocation,
  seal,
  unwrapKey,
} from '../../src/crypto/envelope.ts'
import { createKeyCache } from '../../src/crypto/key-cache.ts'
import {
  createOrganizationKey,
  openOrganizationKey,
  organizationKeyId,
  rewrapOrganizationKey,
} from '../../src/crypto/organization-keys.ts'
import { parseRootKeys, SecretsUnavailable } from '../../src/crypto/root-keys.ts'
import { openRowSecret, rewrapRowSecret, sealRowSecret } from '../../src/crypto/row-secret.ts'

const bytes = (fill: number, length = 32) => btoa(String.fromCharCode(...new Uint8Array(length).fill(fill)))
const ringOf = (active: string, keys: Record<string, number>) =>
  parseRootKeys(
    JSON.stringify({
      active,
      keys: Object.fromEntries(Object.entries(keys).map(([id, fill]) => [id, bytes(fill)])),
    }),
  )
const HERE: SecretLocation = {
  organizationId: 'org_1',
  table: 'registries',
  row: 'reg_1',
  column: 'credentials',
}
const ELSEWHERE: [string, SecretLocation][] = [
  ['another tenant', { ...HERE, organizationId: 'org_2' }],
  ['another table', { ...HERE, table: 'webhooks' }],
  ['another row', { ...HERE, row: 'reg_2' }],
  ['another column', { ...HERE, column: 'secret' }],
  ['a place whose parts join to the same text', { ...HERE, table: 'registriesreg_1', row: '' }],
]
const SECRET = JSON.stringify({ username: 'ci', password: 'pässwörd-\u{1f511}' })

async function anOrganization(organizationId = 'org_1', version = 1) {
  const ring = await ringOf('r1', { r1: 1 })
  const stored = await createOrganizationKey(ring, organizationId, version)
  return { ring, stored, key: stored.key }
}

describe('the root keys', () => {
  it.each([
    ['nothing', undefined],
    ['an empty text', ' '],
    ['no JSON', 'secret'],
    ['a list', '[]'],
    ['no active key', JSON.stringify({ keys: { a: bytes(1) } })],
    ['an active key that is not there', JSON.stringify({ active: 'b', keys: { a: bytes(1) } })],
    ['a short key', JSON.stringify({ active: 'a', keys: { a: bytes(1, 31) } })],
    ['a long key', JSON.stringify({ active: 'a', keys: { a: bytes(1, 33) } })],
    ['a key that is no base64', JSON.stringify({ active: 'a', keys: { a: '!'.repeat(43) } })],
    ['an id with a dot', JSON.stringify({ active: 'a.b', keys: { 'a.b': bytes(1) } })],
    ['an unknown member', JSON.stringify({ active: 'a', keys: { a: bytes(1) }, old: 1 })],
  ])('are unavailable with %s, and the error does not show them', async (_, text) => {
    const error = await parseRootKeys(text).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(SecretsUnavailable)
    expect((error as Error).message).not.toContain(bytes(1).slice(0, 12))
  })

  it('are read in both base64 alphabets', async () => {
    const key = bytes(251)
    const url = key.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
    expect((await parseRootKeys(JSON.stringify({ active: 'a', keys: { a: key, b: url } }))).keys.size).toBe(2)
  })
})

describe('a secret of a row', () => {
  it('opens where it was sealed', async () => {
    const { key } = await anOrganization()
    const sealed = await sealRowSecret(key, SECRET, HERE)
    expect(await openRowSecret(key, sealed, HERE)).toEqual({ ok: true, value: SECRET })
    expect(sealed.ciphertext).toMatch(/^v1\.dek-1\.[\w-]{16}\.[\w-]+$/)
    expect(sealed.wrappedKey).toMatch(/^v1\.kek-1\.[\w-]{16}\.[\w-]{64}$/)
    expect(JSON.stringify(sealed)).not.toContain('username')
  })

  it('never seals to the same text twice', async () => {
    const { key } = await anOrganization()
    const [first, second] = [await sealRowSecret(key, SECRET, HERE), await sealRowSecret(key, SECRET, HERE)]
    expect(first.ciphertext).not.toBe(second.ciphertext)
    expect(first.wrappedKey).not.toBe(second.wrappedKey)
  })

  it.each(ELSEWHERE)('does not open in %s', async (_, there) => {
    const { key } = await anOrganization()
    const sealed = await sealRowSecret(key, SECRET, HERE)
    expect(await openRowSecret(key, sealed, there)).toEqual({ ok: false, error: 'not_authentic' })
  })

  it('does not open with the data key of another row, also when both are moved', async () => {
    const { key } = await anOrganization()
    const mine = await sealRowSecret(key, SECRET, HERE)
    const other = await sealRowSecret(key, SECRET, { ...HERE, row: 'reg_2' })
    const mixed = { wrappedKey: mine.wrappedKey, ciphertext: other.ciphertext }
    expect(await openRowSecret(key, mixed, HERE)).toEqual({ ok: false, error: 'not_authentic' })
    expect(await openRowSecret(key, mixed, { ...HERE, row: 'reg_2' })).toEqual({
      ok: false,
      error: 'not_authentic',
    })
  })

  it('does not open with the key of another organization or another version', async () => {
    const { key } = await anOrganization()
    const sealed = await sealRowSecret(key, SECRET, HERE)
    const { key: theirs } = await anOrganization('org_2')
    const { key: newer } = await anOrganization('org_1', 2)
    expect(await openRowSecret(theirs, sealed, HERE)).toEqual({ ok: false, error: 'not_authentic' })
    expect(await openRowSecret(newer, sealed, HERE)).toEqual({ ok: false, error: 'unknown_key' })
  })

  it('opens after its data key is wrapped by a newer organization key', async () => {
    const { key } = await anOrganization()
    const { key: newer } = await anOrganization('org_1', 2)
    const sealed = await sealRowSecret(key, SECRET, HERE)
    const rewrapped = await rewrapRowSecret(key, newer, sealed.wrappedKey, HERE)
    if (!rewrapped.ok) throw new Error(rewrapped.error)
    expect(ciphertextKeyId(rewrapped.value)).toBe('kek-2')
    const moved = { ...sealed, wrappedKey: rewrapped.value }
    const both = new Map([key, newer].map((one) => [one.id, one]))
    expect(await openRowSecret(both, moved, HERE)).toEqual({ ok: true, value: SECRET })
    expect(await openRowSecret(both, sealed, HERE)).toEqual({ ok: true, value: SECRET })
  })
})

describe('a ciphertext', () => {
  it('does not open after any one bit of it is flipped, or any character replaced', async () => {
    const { key } = await anOrganization()
    const { key: dataKey, wrapped } = await createWrappedKey(key, 'dek-1', HERE)
    const sealed = await seal(dataKey, SECRET, HERE)
    for (let at = 0; at < sealed.length; at++) {
      const character = sealed[at] === 'A' ? 'B' : 'A'
      expect((await open(dataKey, sealed.slice(0, at) + character + sealed.slice(at + 1), HERE)).ok).toBe(
        false,
      )
    }
    for (let at = 0; at < wrapped.length; at++) {
      const flipped =
        wrapped.slice(0, at) + String.fromCharCode(wrapped.charCodeAt(at) ^ 1) + wrapped.slice(at + 1)
      expect((await unwrapKey(key, 'dek-1', flipped, HERE)).ok).toBe(false)
    }
  })

  it('does not open when its key id is exchanged for another of the ring that holds the same bytes', async () => {
    const ring = await ringOf('a', { a: 7, b: 7 })
    const sealed = await seal(ring.active, SECRET, HERE)
    const renamed = sealed.replace('v1.a.', 'v1.b.')
    expect(await open(ring.keys, sealed, HERE)).toMatchObject({ ok: true })
    expect(await open(ring.keys, renamed, HERE)).toEqual({ ok: false, error: 'not_authentic' })
  })

  it('does not open as a key when it was sealed as a secret, nor as a key of another name', async () => {
    const { key } = await anOrganization()
    const { wrapped } = await createWrappedKey(key, 'dek-1', HERE)
    expect(await open(key, wrapped, HERE)).toEqual({ ok: false, error: 'not_authentic' })
    expect(await unwrapKey(key, 'dek-2', wrapped, HERE)).toEqual({ ok: false, error: 'not_authentic' })
    expect((await unwrapKey(key, 'dek-1', await seal(key, 'x'.repeat(32), HERE), HERE)).ok).toBe(false)
  })

  it('is malformed, never an exception, for any other text', async () => {
    const { key } = await anOrganization()
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom(
        '',
        'v1',
        'v1...',
        'v2.kek-1.AAAAAAAAAAAAAAAA.AAAA',
        'v1.kek-1.AAAA.AAAA',
        'v1.kek-1.AAAAAAAAAAAAAAAA.',
      ),
    )
    await fc.assert(
      fc.asyncProperty(text, async (input) => {
        expect(await open(key, input, HERE)).toEqual({ ok: false, error: 'malformed' })
      }),
    )
  })

  it('gives back every text', async () => {
    const { key } = await anOrganization()
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 200 }), async (text) => {
        expect(await open(key, await seal(key, text, HERE), HERE)).toEqual({ ok: true, value: text })
      }),
    )
  })
})

describe("an organization's key", () => {
  it('opens under an old root key while another is active, and is wrapped by the active one', async () => {
    const { stored } = await anOrganization()
    const rotated = await ringOf('r2', { r1: 1, r2: 2 })
    const cache = createKeyCache()
    expect((await openOrganizationKey(rotated, stored, cache, 0)).ok).toBe(true)
    const rewrapped = await rewrapOrganizationKey(rotated, stored)
    if (!rewrapped.ok) throw new Error(rewrapped.error)
    expect(ciphertextKeyId(stored.wrapped)).toBe('r1')
    expect(ciphertextKeyId(rewrapped.value)).toBe('r2')
    const onlyNew = await ringOf('r2', { r2: 2 })
    const moved = { ...stored, wrapped: rewrapped.value }
    expect((await openOrganizationKey(onlyNew, moved, createKeyCache(), 0)).ok).toBe(true)
    expect(await openOrganizationKey(onlyNew, stored, createKeyCache(), 0)).toEqual({
      ok: false,
      error: 'unknown_key',
    })
  })

  it('keeps opening the secrets that it sealed', async () => {
    const { ring, stored, key } = await anOrganization()
    const sealed = await sealRowSecret(key, SECRET, HERE)
    const opened = await openOrganizationKey(ring, stored, createKeyCache(), 0)
    if (!opened.ok) throw new Error(opened.error)
    expect(opened.value.id).toBe(organizationKeyId(1))
    expect(await openRowSecret(opened.value, sealed, HERE)).toEqual({ ok: true, value: SECRET })
  })

  it('does not open for another organization, another version or with other root bytes', async () => {
    const { ring, stored } = await anOrganization()
    const opens = async (changed: Partial<typeof stored>, keys = ring) =>
      (await openOrganizationKey(keys, { ...stored, ...changed }, createKeyCache(), 0)).ok
    expect(await opens({})).toBe(true)
    expect(await opens({ organizationId: 'org_2' })).toBe(false)
    expect(await opens({ version: 2 })).toBe(false)
    expect(await opens({}, await ringOf('r1', { r1: 9 }))).toBe(false)
  })

  it('comes from the cache only for the same stored text and only until its time is over', async () => {
    const { ring, stored } = await anOrganization()
    const cache = createKeyCache({ ttlMs: 1000 })
    const first = await openOrganizationKey(ring, stored, cache, 0)
    const again = await openOrganizationKey(ring, stored, cache, 999)
    const later = await openOrganizationKey(ring, stored, cache, 1000)
    if (!first.ok || !again.ok || !later.ok) throw new Error('it does not open')
    expect(again.value).toBe(first.value)
    expect(later.value).not.toBe(first.value)
    const other = { ...stored, organizationId: 'org_2' }
    expect(await openOrganizationKey(ring, other, cache, 0)).toEqual({ ok: false, error: 'not_authentic' })
    expect((await openOrganizationKey(ring, { ...stored, wrapped: 'v1.r1.x.y' }, cache, 0)).ok).toBe(false)
  })

  it('cannot be read out of the key object', async () => {
    const { key } = await anOrganization()
    await expect(crypto.subtle.exportKey('raw', key.key)).rejects.toThrow()
  })

  it('leaves a full cache in the order it came', async () => {
    const { key } = await anOrganization()
    const cache = createKeyCache({ maxKeys: 2 })
    for (const id of ['a', 'b', 'c']) cache.set(id, key, 0)
    expect(['a', 'b', 'c'].map((id) => cache.get(id, 1) !== undefined)).toEqual([false, true, true])
    cache.clear()
    expect(cache.get('c', 1)).toBeUndefined()
  })
})
