import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { UsernamePassword } from '../../../src/inventory/registries/credentials.ts'
import { PROVIDER_NAMES } from '../../../src/inventory/registries/provider-names.ts'
import { parseChallenge } from '../../../src/inventory/registries/providers/challenge.ts'
import { isImplemented, registryProvider } from '../../../src/inventory/registries/providers/index.ts'
import { nextLink } from '../../../src/inventory/registries/providers/links.ts'
import { choosePlatform, normalizePlatform } from '../../../src/inventory/registries/providers/platform.ts'
import {
  parseRegistryUrl,
  type RegistryAddressRules,
} from '../../../src/inventory/registries/registry-url.ts'

describe('the providers', () => {
  it('are twelve names, of which those with a file can be opened and the others are refused', () => {
    expect(PROVIDER_NAMES).toHaveLength(12)
    const opened = PROVIDER_NAMES.filter((name) => registryProvider(name).ok)
    expect(opened).toEqual(PROVIDER_NAMES.filter(isImplemented))
    expect(opened).toEqual(['DOCKER_REGISTRY', 'CUSTOM'])
  })
})

describe('a user name and password', () => {
  it.each([
    [{ username: 'ci', password: 'x' }, true],
    [{ username: 'robot$team+ci', password: '{\n"type":"service_account"}' }, true],
    [{ username: 'a:b', password: 'x' }, false],
    [{ username: 'a\r\nb', password: 'x' }, false],
    [{ username: '', password: 'x' }, false],
    [{ username: 'ci', password: '' }, false],
    [{ username: 'ci' }, false],
    [{ username: 'ci', password: 'x', token: 'y' }, false],
  ])('%j: %s', (input, accepted) => {
    expect(UsernamePassword.safeParse(input).success).toBe(accepted)
  })
})

describe('a challenge', () => {
  const realm = 'https://auth.example.com/token'
  it.each([
    [
      `Bearer realm="${realm}",service="r.example"`,
      { scheme: 'bearer', realm, service: 'r.example', error: null },
    ],
    [`bearer realm="${realm}"`, { scheme: 'bearer', realm, service: null, error: null }],
    [
      `Bearer realm="${realm}" , service=r.example, scope="repository:a:pull,push", error="invalid_token"`,
      { scheme: 'bearer', realm, service: 'r.example', error: 'invalid_token' },
    ],
    [`Basic realm="x", Bearer realm="${realm}"`, { scheme: 'bearer', realm, service: null, error: null }],
    [`Bearer realm="${realm}", Basic realm="x"`, { scheme: 'bearer', realm, service: null, error: null }],
    ['Basic realm="a \\"quoted\\", Bearer realm=\\"https://evil.example\\""', { scheme: 'basic' }],
    ['Basic', { scheme: 'basic' }],
    ['Bearer service="r.example"', null],
    ['Bearer realm=""', null],
    ['Negotiate', null],
    ['', null],
    [null, null],
    [`Bearer realm="${'a'.repeat(9000)}"`, null],
  ])('%s is read as it is meant', (header, expected) => {
    expect(parseChallenge(header)).toEqual(expected)
  })

  it('of any text is read without an exception', () => {
    const piece = fc.constantFrom(
      'Bearer ',
      'Basic ',
      'realm=',
      '"',
      '\\',
      ',',
      ' ',
      '=',
      'https://a.example',
      'x',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece).map((parts) => parts.join('')),
        ),
        (header) => {
          const challenge = parseChallenge(header)
          if (challenge?.scheme === 'bearer') expect(challenge.realm).not.toBe('')
        },
      ),
    )
  })
})

describe('a link to the next page', () => {
  const current = 'https://r.example/v2/_catalog?n=2'
  const next = (query: string) => ({ kind: 'next', query })
  it.each([
    ['</v2/_catalog?last=b&n=2>; rel="next"', next('last=b&n=2')],
    ['<https://r.example/v2/_catalog?last=b>; rel=next', next('last=b')],
    ['</v2/_catalog?last=b>; title="x"; rel="prev next"', next('last=b')],
    ['</a?x=1>; rel="prev", </v2/_catalog?last=b>; rel="NEXT"', next('last=b')],
    ['<?last=b%2Fc>; rel="next"', next('last=b%2Fc')],
    ['</v2/_catalog>; rel="next"', { kind: 'none' }],
    ['</v2/_catalog?last=b>; rel="last"', { kind: 'none' }],
    ['</v2/_catalog?last=b>', { kind: 'none' }],
    ['', { kind: 'none' }],
    [null, { kind: 'none' }],
    ['<https://evil.example/v2/_catalog?last=b>; rel="next"', { kind: 'foreign' }],
    ['<//evil.example/v2/_catalog?last=b>; rel="next"', { kind: 'foreign' }],
    ['<https://r.example@evil.example/?last=b>; rel="next"', { kind: 'foreign' }],
    ['<https://[>; rel="next"', { kind: 'foreign' }],
    [`</v2/_catalog?last=${'b'.repeat(3000)}>; rel="next"`, { kind: 'none' }],
  ])('%s', (header, expected) => {
    expect(nextLink(header, current)).toEqual(expected)
  })
})

describe('a platform', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['Linux/x86_64', 'linux/amd64'],
    ['linux/amd64/v1', 'linux/amd64'],
    ['linux/amd64/v3', 'linux/amd64/v3'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/armhf', 'linux/arm/v7'],
    ['linux/armel', 'linux/arm/v6'],
    ['linux/arm/v6', 'linux/arm/v6'],
    ['windows/amd64', 'windows/amd64'],
    ['linux', null],
    ['linux/', null],
    ['linux/amd64/v8/x', null],
    ['linux/amd 64', null],
    ['', null],
  ])('%j is %j', (text, expected) => {
    expect(normalizePlatform(text)).toBe(expected)
  })

  it('is chosen only from those there are', () => {
    expect(choosePlatform([], null)).toBe(null)
    expect(choosePlatform(['linux/arm64', 'linux/arm64'], null)).toBe('linux/arm64')
    expect(choosePlatform(['linux/arm64', 'linux/amd64'], null)).toBe('linux/amd64')
    expect(choosePlatform(['linux/arm64'], 'linux/amd64')).toBe(null)
    expect(choosePlatform(['linux/amd64'], 'nonsense')).toBe(null)
  })
})

describe("a registry's address", () => {
  const CLOUD: RegistryAddressRules = { insecure: false, scanMethod: 'cloud', allowPrivateNetworks: false }
  const read = (input: string, rules: Partial<RegistryAddressRules> = {}) => {
    const address = parseRegistryUrl(input, { ...CLOUD, ...rules })
    return address.ok ? [address.baseUrl, address.host, address.pathPrefix] : 'refused'
  }

  it.each([
    ['r.example', ['https://r.example', 'r.example', '']],
    ['R.Example:5000', ['https://r.example:5000', 'r.example:5000', '']],
    ['https://r.example/', ['https://r.example', 'r.example', '']],
    ['https://r.example:443/v2/', ['https://r.example', 'r.example', '']],
    ['https://r.example/team/sub/', ['https://r.example', 'r.example', 'team/sub']],
    ['r.example/v2/team', ['https://r.example', 'r.example', 'team']],
    ['docker.io', ['https://registry-1.docker.io', 'docker.io', '']],
    ['https://index.docker.io/v2', ['https://registry-1.docker.io', 'docker.io', '']],
  ])('%s', (input, expected) => {
    expect(read(input)).toEqual(expected)
  })

  it.each([
    '',
    ' ',
    'http://r.example',
    'ftp://r.example',
    'https://user:pass@r.example',
    'user@r.example',
    'localhost:5000',
    '10.0.0.1',
    '169.254.169.254',
    'r.example?x=1',
    'r.example/#',
    'r.example/Team',
    'r.example/a b',
    'r.example/../x y',
    'r.example/%2e',
    'r.example:22',
    'r.example\\evil.example',
  ])('refuses %j', (input) => {
    expect(read(input)).toBe('refused')
  })

  it('is http only where insecure, which cannot turn off the verification of certificates', () => {
    expect(read('http://r.example:5000', { insecure: true })).toEqual([
      'http://r.example:5000',
      'r.example:5000',
      '',
    ])
    expect(read('r.example:5000', { insecure: true })).toEqual([
      'http://r.example:5000',
      'r.example:5000',
      '',
    ])
    expect(read('https://r.example', { insecure: true })).toBe('refused')
    expect(read('https://r.example', { insecure: true, scanMethod: 'sensor' })).not.toBe('refused')
  })

  it('may be private for a sensor or where the deployment allows it, and never a metadata service', () => {
    expect(read('10.0.0.1:5000', { scanMethod: 'sensor' })).not.toBe('refused')
    expect(read('localhost:5000', { allowPrivateNetworks: true })).not.toBe('refused')
    expect(read('169.254.169.254', { scanMethod: 'sensor', allowPrivateNetworks: true })).toBe('refused')
    expect(read('metadata.google.internal', { scanMethod: 'sensor' })).toBe('refused')
  })
})
