import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { guardAuthority, guardUrl, type HostPolicy } from '../../src/net/host-guard.ts'
import { HOSTILE_URLS } from './hostile-urls.ts'

const PUBLIC: HostPolicy = { allowPrivateNetworks: false, allowHttp: false }
const PRIVATE: HostPolicy = { allowPrivateNetworks: true, allowHttp: true }
const rule = (url: string, policy: HostPolicy) => {
  const verdict = guardUrl(url, policy)
  return verdict.ok ? 'allowed' : verdict.rule
}

describe('the host guard', () => {
  it.each(HOSTILE_URLS)('refuses %j (%s)', (url, expected) => {
    expect(rule(url, PUBLIC)).toBe(expected)
  })

  it.each([
    'https://registry.example.com/v2/',
    'https://Registry.Example.com/v2/',
    'https://registry.example.com:443/',
    'https://registry.example.com:5000/v2/_catalog?n=100&last=a%2Fb',
    'https://registry.example.com:65535/',
    'https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/',
    'https://europe-west1-docker.pkg.dev/v2/',
    'https://xn--bcher-kva.example/',
    'https://my_registry.example.com/',
    'https://localhost.example.com/',
    'https://example.com?x=1@2',
  ])('lets %j through', (url) => {
    expect(rule(url, PUBLIC)).toBe('allowed')
  })

  it.each([
    'http://localhost:5000/',
    'http://127.0.0.1:5000/',
    'http://[::1]:5000/',
    'http://registry/',
    'https://10.1.2.3/',
  ])('lets %j through where private networks and http are allowed', (url) => {
    expect(rule(url, PRIVATE)).toBe('allowed')
  })

  it.each(
    HOSTILE_URLS.filter(
      ([, expected]) => !['ip_literal', 'http_not_allowed', 'internal_name'].includes(expected),
    ),
  )('refuses %j (%s) also where private networks are allowed', (url, expected) => {
    expect(rule(url, PRIVATE)).toBe(expected)
  })

  it('judges the host of an image reference as it judges a URL', () => {
    const verdict = (authority: string) => {
      const guarded = guardAuthority(authority, PUBLIC)
      return guarded.ok ? guarded.url.host : guarded.rule
    }
    expect(verdict('registry.example.com:5000')).toBe('registry.example.com:5000')
    expect(verdict('169.254.169.254')).toBe('forbidden_address')
    expect(verdict('registry.example.com/evil')).toBe('host_notation')
    expect(verdict('a@b.example')).toBe('userinfo')
  })

  it('never lets an IPv4 address through in any notation', () => {
    const part = fc.constantFrom(10, 8, 16)
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffffffff }),
        part,
        fc.constantFrom(1, 2, 3, 4),
        (address, base, count) => {
          const rest = address % 256 ** (5 - count)
          const heads = Array.from(
            { length: count - 1 },
            (_, i) => Math.floor(address / 256 ** (3 - i)) % 256,
          )
          const print = (n: number) =>
            base === 16 ? `0x${n.toString(16)}` : base === 8 ? `0${n.toString(8)}` : `${n}`
          expect(rule(`https://${[...heads, rest].map(print).join('.')}/`, PUBLIC)).not.toBe('allowed')
        },
      ),
    )
  })

  it('gives for any text a verdict, and for every allowed one the host that was written', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.webUrl({ withQueryParameters: true }),
    )
    fc.assert(
      fc.property(text, fc.boolean(), (input, open) => {
        const verdict = guardUrl(input, open ? PRIVATE : PUBLIC)
        if (verdict.ok) expect(input.toLowerCase()).toContain(verdict.url.hostname)
        else expect(verdict.message).not.toBe('')
      }),
    )
  })
})
