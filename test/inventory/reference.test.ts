import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chooseRegistry, type RegistryPlace } from '../../src/inventory/images/choose-registry.ts'
import { parseReference } from '../../src/inventory/images/reference.ts'

const HEX = 'a'.repeat(64)
const canonical = (input: string) => {
  const parsed = parseReference(input)
  return parsed.ok ? parsed.canonical : 'refused'
}

describe('image references', () => {
  it.each([
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1.25', 'docker.io/library/nginx:1.25'],
    ['library/nginx', 'docker.io/library/nginx:latest'],
    ['docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['index.docker.io/library/nginx', 'docker.io/library/nginx:latest'],
    ['registry-1.docker.io/library/nginx:1', 'docker.io/library/nginx:1'],
    ['bitnami/redis', 'docker.io/bitnami/redis:latest'],
    [`nginx@sha256:${HEX}`, `docker.io/library/nginx@sha256:${HEX}`],
    [`nginx:1.25@sha256:${HEX}`, `docker.io/library/nginx:1.25@sha256:${HEX}`],
    ['ghcr.io/org/app:v1', 'ghcr.io/org/app:v1'],
    ['r.example', 'docker.io/library/r.example:latest'],
    ['GHCR.IO/org/app:v1', 'ghcr.io/org/app:v1'],
    ['localhost/app', 'localhost/app:latest'],
    ['localhost:5000/app:Tag_1.2-x', 'localhost:5000/app:Tag_1.2-x'],
    ['registry:5000/team/sub/app', 'registry:5000/team/sub/app:latest'],
    ['127.0.0.1:5000/app', '127.0.0.1:5000/app:latest'],
    ['[::1]:5000/app', '[::1]:5000/app:latest'],
    ['a__b/c--d/e.f/g_h', 'docker.io/a__b/c--d/e.f/g_h:latest'],
    [`r.example/${'a'.repeat(255)}`, `r.example/${'a'.repeat(255)}:latest`],
    [`r.example/a:${'t'.repeat(128)}`, `r.example/a:${'t'.repeat(128)}`],
  ])('reads %s as %s', (input, expected) => {
    expect(canonical(input)).toBe(expected)
  })

  it.each([
    '',
    ' ',
    'nginx ',
    ' nginx',
    'nginx latest',
    'nginx\n',
    'nginx\u0000',
    'nginx;id',
    'nginx$(id)',
    'nginx`id`',
    'nginx|id',
    'nginx&id',
    'nginx>x',
    "nginx'",
    'nginx"',
    'nginx\\x',
    'nginx?x',
    'nginx#x',
    'nginx*',
    'nginx%2f',
    '-nginx',
    '--help',
    'https://ghcr.io/org/app',
    'docker://nginx',
    'http:/x/y',
    'Nginx',
    'library/Nginx',
    'r.example/App',
    'r.example/a..b',
    'r.example/a___b',
    'r.example/.a',
    'r.example/a-',
    'r.example//a',
    '/nginx',
    'nginx/',
    'r.example/',
    '../etc/passwd',
    'r.example/../a',
    'nginx:',
    'nginx:.a',
    'nginx:-a',
    'nginx:a/b',
    'nginx:a:b',
    `nginx:${'t'.repeat(129)}`,
    'nginx@',
    'nginx@sha256:abc',
    `nginx@md5:${HEX}`,
    `nginx@sha256:${HEX.toUpperCase()}`,
    `nginx@sha256:${HEX}@sha256:${HEX}`,
    HEX,
    'r.example:0/a',
    'r.example:/a',
    'r.example:65536/a',
    'r.example:abc/a',
    'r..example/a',
    '-r.example/a',
    `${'a.'.repeat(127)}io/a`,
    `r.example/${'a'.repeat(256)}`,
    'a'.repeat(250),
    'a'.repeat(5000),
    'ngin\u0445',
    '\u{ff4e}ginx',
    'user@r.example/a',
  ])('refuses %j', (input) => {
    expect(canonical(input)).toBe('refused')
  })

  it('reads its own canonical form as the same reference', () => {
    const word = fc.stringMatching(/^[a-z0-9]{1,8}((\.|_|__|-)[a-z0-9]{1,8})?$/)
    const host = fc.oneof(
      fc.constant(''),
      fc.constant('localhost/'),
      fc.domain().map((name) => `${name}/`),
    )
    const port = fc.integer({ min: 1, max: 65535 })
    const tag = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/)
    const digest = fc.stringMatching(/^[0-9a-f]{64}$/)
    fc.assert(
      fc.property(
        host,
        fc.option(port),
        fc.array(word, { minLength: 1, maxLength: 4 }),
        fc.option(tag),
        fc.option(digest),
        (written, number, path, tagged, hex) => {
          const authority = written !== '' && number !== null ? written.replace('/', `:${number}/`) : written
          const input = `${authority}${path.join('/')}${tagged ? `:${tagged}` : ''}${hex ? `@sha256:${hex}` : ''}`
          const first = parseReference(input)
          if (!first.ok) throw new Error(`${input} is refused: ${first.message}`)
          expect(parseReference(first.canonical)).toEqual(first)
          expect(first.tag).toBe(tagged ?? (hex ? null : 'latest'))
        },
      ),
    )
  })

  it('accepts no text with a character that a shell or a URL reads as its own', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), (input) => {
        const parsed = parseReference(input)
        if (parsed.ok) expect(input).toMatch(/^[A-Za-z0-9._\-/:@[\]]+$/)
      }),
    )
  })
})

describe('the registry of an image', () => {
  const choose = (image: string, registries: RegistryPlace[]) => {
    const parsed = parseReference(image)
    if (!parsed.ok) throw new Error(parsed.message)
    const choice = chooseRegistry(parsed, registries)
    if (choice.kind === 'one') return choice.registry.id
    return choice.kind === 'tie' ? choice.registries.map(({ id }) => id) : null
  }
  const place = (id: string, host: string, pathPrefix = ''): RegistryPlace => ({ id, host, pathPrefix })

  it('is the one with the longest path prefix on that host and port', () => {
    const registries = [
      place('all', 'r.example'),
      place('team', 'r.example', 'team'),
      place('deep', 'r.example', 'team/deep'),
      place('port', 'r.example:5000', 'team/deep/more'),
    ]
    expect(choose('r.example/team/deep/app', registries)).toBe('deep')
    expect(choose('r.example/team/app', registries)).toBe('team')
    expect(choose('r.example/team', registries)).toBe('team')
    expect(choose('r.example/teams/app', registries)).toBe('all')
    expect(choose('r.example:5000/team/deep/app', registries)).toBe(null)
    expect(choose('r.example:5000/team/deep/more/app', registries)).toBe('port')
  })

  it('is nothing on a host that nobody connected, and the tie where two hold the same prefix', () => {
    expect(choose('other.example/app', [place('all', 'r.example')])).toBe(null)
    expect(choose('r.example/app', [])).toBe(null)
    expect(choose('r.example/app', [place('a', 'r.example'), place('b', 'R.example:443')])).toEqual([
      'a',
      'b',
    ])
  })

  it.each(['docker.io', 'index.docker.io', 'registry-1.docker.io', 'Docker.io'])(
    'knows Docker Hub as %s',
    (host) => {
      expect(choose('nginx', [place('hub', host)])).toBe('hub')
      expect(choose('registry-1.docker.io/library/nginx', [place('hub', host, 'library')])).toBe('hub')
    },
  )
})
