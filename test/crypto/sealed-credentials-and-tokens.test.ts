import fc from 'fast-check'
import { compactDecrypt, exportJWK, generateKeyPair } from 'jose'
import { describe, expect, it } from 'vitest'
import { isUsablePublicKey, sealCredentials } from '../../src/crypto/sealed-credentials.ts'
import { constantTimeEqual, newApiKey, newRunnerKey, sha256Hex } from '../../src/crypto/tokens.ts'
import { PublicJwk } from '../../src/scanning/sensors/protocol.ts'

const CREDENTIALS = { username: 'ci', password: 'pässwörd' }
const CONTEXT = { job: 'job_1', fence: 3, runner: 'agt_1', host: 'r.example:5000', exp: 1_800_000_000 }

async function aRunner() {
  const pair = await generateKeyPair('ECDH-ES', { crv: 'P-256', extractable: true })
  return { publicKey: PublicJwk.parse(await exportJWK(pair.publicKey)), privateKey: pair.privateKey }
}

describe('sealed credentials', () => {
  it("open with the runner's private key and name job, fence, runner, host and expiry", async () => {
    const { publicKey, privateKey } = await aRunner()
    const jwe = await sealCredentials(publicKey, CREDENTIALS, CONTEXT)
    const { plaintext, protectedHeader } = await compactDecrypt(jwe, privateKey)
    expect(JSON.parse(new TextDecoder().decode(plaintext))).toEqual(CREDENTIALS)
    expect(protectedHeader).toMatchObject({ alg: 'ECDH-ES', enc: 'A256GCM', ...CONTEXT })
  })

  it('do not open with the key of another runner', async () => {
    const { publicKey } = await aRunner()
    const { privateKey } = await aRunner()
    await expect(
      compactDecrypt(await sealCredentials(publicKey, CREDENTIALS, CONTEXT), privateKey),
    ).rejects.toThrow()
  })

  it('do not open after their header is exchanged for that of another job', async () => {
    const { publicKey, privateKey } = await aRunner()
    const mine = (await sealCredentials(publicKey, CREDENTIALS, CONTEXT)).split('.')
    const header = JSON.parse(atob(mine[0]!.replaceAll('-', '+').replaceAll('_', '/')))
    const changed = btoa(JSON.stringify({ ...header, host: 'evil.example' }))
    const forged = [
      changed.replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_'),
      ...mine.slice(1),
    ].join('.')
    await expect(compactDecrypt(forged, privateKey)).rejects.toThrow()
  })

  it('are made only for a point on the curve', async () => {
    const { publicKey } = await aRunner()
    expect(await isUsablePublicKey(publicKey)).toBe(true)
    expect(await isUsablePublicKey({ ...publicKey, x: publicKey.y })).toBe(false)
    await expect(sealCredentials({ ...publicKey, x: publicKey.y }, CREDENTIALS, CONTEXT)).rejects.toThrow()
  })
})

describe('keys and digests', () => {
  it('are 48 hexadecimal digits behind their prefix, never twice the same', () => {
    expect(newApiKey()).toMatch(/^hg_ak_[0-9a-f]{48}$/)
    expect(newRunnerKey()).toMatch(/^hg_rk_[0-9a-f]{48}$/)
    expect(new Set(Array.from({ length: 100 }, newApiKey)).size).toBe(100)
  })

  it('digest a text as UTF-8', async () => {
    expect(await sha256Hex('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    expect(await sha256Hex('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })

  it('compare as === does', () => {
    const text = fc.oneof(
      fc.string({ maxLength: 4 }),
      fc.constantFrom('', 'a', 'aa', 'aaa', '\u0000', '\u0000\u0000'),
    )
    fc.assert(fc.property(text, text, (a, b) => constantTimeEqual(a, b) === (a === b)))
    fc.assert(fc.property(fc.string(), (a) => constantTimeEqual(a, a)))
  })
})
