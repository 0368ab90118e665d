import { describe, expect, it } from 'vitest'
import { type SafeFetchOptions, safeFetch, type Transport } from '../../src/net/safe-fetch.ts'

const OPTIONS: SafeFetchOptions = {
  allowPrivateNetworks: false,
  allowHttp: false,
  timeoutMs: 5_000,
  maxBytes: 1000,
  redirects: 3,
  headers: { authorization: 'Basic c2VjcmV0', cookie: 'a=b', accept: 'text/plain' },
}

interface Seen {
  url: string
  method: string
  authorization: string | null
  cookie: string | null
  body: BodyInit | null | undefined
}

/** A network of canned replies; everything sent is in `seen`. */
function network(replies: Record<string, () => Response>) {
  const seen: Seen[] = []
  const transport: Transport = async (url, init) => {
    const headers = new Headers(init.headers)
    const authorization = headers.get('authorization')
    seen.push({ url, method: init.method!, authorization, cookie: headers.get('cookie'), body: init.body })
    const reply = replies[url]
    if (reply === undefined) throw new TypeError('connect ECONNREFUSED 10.0.0.1')
    return reply()
  }
  return { seen, transport }
}

const redirect =
  (location: string, status = 302) =>
  () =>
    new Response('moved', { status, headers: { location } })
const text = (body: string) => () => new Response(body)

async function outcome(url: string, options: Partial<SafeFetchOptions>, transport: Transport) {
  const result = await safeFetch(url, { ...OPTIONS, ...options }, transport)
  if (result.ok) return `${result.reply.status} ${new TextDecoder().decode(result.reply.body)}`
  const { error } = result
  return error.kind === 'refused'
    ? `refused ${error.rule}${error.redirected ? ' after redirect' : ''}`
    : error.kind
}

describe('safeFetch', () => {
  it('answers with status, headers, body and the final address', async () => {
    const { transport } = network({ 'https://a.example/': text('hello') })
    const result = await safeFetch('https://a.example/', OPTIONS, transport)
    expect(result).toMatchObject({ ok: true, reply: { status: 200, url: 'https://a.example/' } })
  })

  it('calls nothing when the address is refused', async () => {
    const { seen, transport } = network({})
    expect(await outcome('https://127.0.0.1/', {}, transport)).toBe('refused ip_literal')
    expect(seen).toEqual([])
  })

  it.each([
    ['https://169.254.169.254/latest', 'forbidden_address'],
    ['http://a.example/plain', 'http_not_allowed'],
    ['https://0x7f.1/', 'host_notation'],
    ['//localhost/', 'internal_name'],
    ['/\\localhost/', 'characters'],
    ['https://user:pass@b.example/', 'userinfo'],
    ['file:///etc/passwd', 'scheme'],
  ])('refuses a redirect to %s', async (location, rule) => {
    const { seen, transport } = network({ 'https://a.example/': redirect(location) })
    expect(await outcome('https://a.example/', {}, transport)).toBe(`refused ${rule} after redirect`)
    expect(seen).toHaveLength(1)
  })

  it('keeps credentials on the same origin', async () => {
    const { seen, transport } = network({
      'https://a.example/': redirect('/next'),
      'https://a.example/next': text('x'),
    })
    expect(await outcome('https://a.example/', {}, transport)).toBe('200 x')
    expect(seen[1]).toMatchObject({ authorization: 'Basic c2VjcmV0', cookie: 'a=b' })
  })

  it.each(['https://b.example/', 'https://a.example:8443/', 'http://a.example/'])(
    'drops credentials on a redirect to %s and does not take them up again',
    async (elsewhere) => {
      const { seen, transport } = network({
        'https://a.example/': redirect(elsewhere),
        [elsewhere]: redirect('https://a.example/back'),
        'https://a.example/back': text('x'),
      })
      expect(await outcome('https://a.example/', { allowHttp: true }, transport)).toBe('200 x')
      expect(seen.map(({ authorization, cookie }) => [authorization, cookie])).toEqual([
        ['Basic c2VjcmV0', 'a=b'],
        [null, null],
        [null, null],
      ])
    },
  )

  it('refuses to send credentials to a host they are not for', async () => {
    const { seen, transport } = network({ 'https://a.example/': text('x') })
    expect(await outcome('https://a.example/', { credentialsFor: 'b.example' }, transport)).toBe(
      'refused credentials_host',
    )
    expect(await outcome('https://a.example/', { credentialsFor: 'a.example:8443' }, transport)).toBe(
      'refused credentials_host',
    )
    expect(seen).toEqual([])
    expect(await outcome('https://a.example/', { credentialsFor: 'a.example' }, transport)).toBe('200 x')
  })

  it('does not carry a body to another origin', async () => {
    const { seen, transport } = network({ 'https://a.example/': redirect('https://b.example/', 307) })
    expect(await outcome('https://a.example/', { method: 'POST', body: 'secret=1' }, transport)).toBe(
      'refused body_redirect after redirect',
    )
    expect(seen).toHaveLength(1)
  })

  it('turns 303 into GET without the body and keeps HEAD', async () => {
    const { seen, transport } = network({
      'https://a.example/': redirect('https://b.example/', 303),
      'https://b.example/': text('x'),
    })
    await outcome('https://a.example/', { method: 'POST', body: 'secret=1' }, transport)
    expect(seen[1]).toMatchObject({ method: 'GET', body: undefined })
    await outcome('https://a.example/', { method: 'HEAD' }, transport)
    expect(seen[3]).toMatchObject({ method: 'HEAD' })
  })

  it('stops after the number of redirects allowed', async () => {
    const { seen, transport } = network({ 'https://a.example/': redirect('https://a.example/') })
    expect(await outcome('https://a.example/', { redirects: 3 }, transport)).toBe('too_many_redirects')
    expect(seen).toHaveLength(4)
  })

  it('hands out the redirect itself when none is allowed', async () => {
    const { transport } = network({ 'https://a.example/': redirect('https://b.example/') })
    expect(await outcome('https://a.example/', { redirects: 0 }, transport)).toBe('302 moved')
  })

  it('stops reading at the size limit, whether the length is said or not', async () => {
    let pulled = 0
    const endless = () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            pulled++
            controller.enqueue(new Uint8Array(400))
          },
        }),
      )
    const said = () => new Response('x'.repeat(1001), { headers: { 'content-length': '1001' } })
    const { transport } = network({ 'https://a.example/': endless, 'https://b.example/': said })
    expect(await outcome('https://a.example/', {}, transport)).toBe('too_large')
    expect(pulled).toBeLessThan(10)
    expect(await outcome('https://b.example/', {}, transport)).toBe('too_large')
    expect(await outcome('https://b.example/', { maxBytes: 1001 }, transport)).toMatch(/^200 x{1001}$/)
  })

  it('ends a call at the time limit while connecting and while reading, also when the transport ignores the signal', async () => {
    const silent: Transport = () => new Promise(() => undefined)
    const stalled: Transport = async () => new Response(new ReadableStream({ start: () => undefined }))
    expect(await outcome('https://a.example/', { timeoutMs: 20 }, silent)).toBe('timeout')
    expect(await outcome('https://a.example/', { timeoutMs: 20 }, stalled)).toBe('timeout')
  })

  it('ends a call when its caller gives up', async () => {
    const silent: Transport = () => new Promise(() => undefined)
    const caller = new AbortController()
    const pending = outcome('https://a.example/', { signal: caller.signal }, silent)
    caller.abort()
    expect(await pending).toBe('aborted')
    expect(await outcome('https://a.example/', { signal: caller.signal }, silent)).toBe('aborted')
  })

  it('repeats nothing of the other side in its errors', async () => {
    const { transport } = network({ 'https://a.example/': redirect('https://10.9.8.7/canary') })
    const refusedRedirect = await safeFetch('https://a.example/', OPTIONS, transport)
    const broken = await safeFetch('https://gone.example/', OPTIONS, transport)
    expect(broken).toMatchObject({ ok: false, error: { kind: 'unreachable' } })
    expect(JSON.stringify([refusedRedirect, broken])).not.toMatch(/canary|10\.|ECONNREFUSED|moved|c2VjcmV0/)
  })
})
