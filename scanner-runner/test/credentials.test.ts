import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CompactEncrypt, importJWK } from 'jose'
import { describe, expect, it } from 'vitest'
import { CredentialsRefused, openCredentials } from '../src/credentials.ts'
import { loadOrCreateKey, type RunnerKey } from '../src/key-pair.ts'
import { aDirectory } from './support/directory.ts'

const FOR = { job: 'job-1', fence: 7, runner: 'agent-1', host: 'registry.example:5000' }
const NOW = 1_800_000_000_000
const IN_TIME = { ...FOR, exp: NOW / 1000 + 60 }

async function seal(key: RunnerKey, header: object, content: unknown = { username: 'u', password: 'p' }) {
  return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(content)))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', ...header })
    .encrypt(await importJWK(key.publicKey, 'ECDH-ES'))
}

describe('sealed credentials', () => {
  it('open for the job, fence, runner and host that they are sealed for', async () => {
    const key = await loadOrCreateKey(await aDirectory())
    const opened = await openCredentials(await seal(key, IN_TIME), key.privateKey, FOR, NOW)
    expect(opened).toEqual({ username: 'u', password: 'p' })
  })

  it.each([
    ['another job', { ...IN_TIME, job: 'job-2' }],
    ['an older fence', { ...IN_TIME, fence: 6 }],
    ['another runner', { ...IN_TIME, runner: 'agent-2' }],
    ['another host', { ...IN_TIME, host: 'registry.example' }],
    ['a time that has passed', { ...IN_TIME, exp: NOW / 1000 }],
    ['no time', { ...FOR }],
    ['no host', { ...IN_TIME, host: undefined }],
  ])('stay closed when sealed for %s', async (_what, header) => {
    const key = await loadOrCreateKey(await aDirectory())
    const jwe = await seal(key, header)
    await expect(openCredentials(jwe, key.privateKey, FOR, NOW)).rejects.toThrow(CredentialsRefused)
  })

  it('stay closed for another key, another algorithm, a changed header and other content', async () => {
    const [key, other] = [
      await loadOrCreateKey(await aDirectory()),
      await loadOrCreateKey(await aDirectory()),
    ]
    const jwe = await seal(key, IN_TIME)
    const forged = Buffer.from(JSON.stringify({ alg: 'ECDH-ES', enc: 'A256GCM', ...IN_TIME })).toString(
      'base64url',
    )
    const sealed = [
      { jwe, opener: other },
      { jwe: jwe.replace(/^[^.]+/, forged), opener: key },
      { jwe: 'not a jwe', opener: key },
      { jwe: await seal(key, { ...IN_TIME, enc: 'A128GCM' }), opener: key },
      { jwe: await seal(key, IN_TIME, 'text'), opener: key },
    ]
    for (const { jwe: text, opener } of sealed)
      await expect(openCredentials(text, opener.privateKey, FOR, NOW)).rejects.toThrow(CredentialsRefused)
  })

  it('name neither content nor key when they are refused', async () => {
    const key = await loadOrCreateKey(await aDirectory())
    const jwe = await seal(key, { ...IN_TIME, job: 'other' }, { username: 'canary-u', password: 'canary-p' })
    const error = await openCredentials(jwe, key.privateKey, FOR, NOW).catch((thrown: Error) => thrown)
    expect(String(error)).not.toContain('canary')
  })
})

describe("the runner's key", () => {
  it('is made once, readable by its owner alone, and kept', async () => {
    const directory = await aDirectory()
    const first = await loadOrCreateKey(directory)
    const second = await loadOrCreateKey(directory)
    expect(second.publicKey).toEqual(first.publicKey)
    expect(Object.keys(first.publicKey).sort()).toEqual(['crv', 'kty', 'x', 'y'])
    expect((await stat(join(directory, 'runner-key.json'))).mode & 0o777).toBe(0o600)
  })

  it.each(['', '{}', '{"kty":"EC"', '{"kty":"RSA"}'])(
    'is never replaced when its file is damaged: %j',
    async (text) => {
      const directory = await aDirectory()
      await mkdir(directory, { recursive: true })
      await writeFile(join(directory, 'runner-key.json'), text)
      await expect(loadOrCreateKey(directory)).rejects.toThrow('damaged')
      expect(await readFile(join(directory, 'runner-key.json'), 'utf8')).toBe(text)
    },
  )
})
