import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { importPKCS8, SignJWT } from 'jose'
import type { Account, RegistryEntrance } from './debian-registry.ts'

const ISSUER = 'e2e-token-server'
const SERVICE = 'e2e-registry'
const TOKEN_SECONDS = 300

export interface TokenServer extends RegistryEntrance {
  /** A token for the account's own use, without asking over HTTP. */
  grant(scopes: readonly string[]): Promise<string>
  /** Scopes of the tokens that were asked for with the right password. */
  granted: string[][]
  /** How often a token was asked for with a wrong one. */
  refusals(): number
  close(): Promise<void>
}

/**
 * Docker's token authentication for one account: RS256 tokens with the certificate in `x5c`, which docker-registry
 * checks against `rootcertbundle`. Needs openssl. Files lie in `directory`.
 */
export async function serveTokens(directory: string, account: Account): Promise<TokenServer> {
  mkdirSync(directory, { recursive: true })
  const [key, certificate] = [join(directory, 'token.key'), join(directory, 'token.crt')]
  const subject = ['-subj', `/CN=${ISSUER}`, '-days', '2']
  const files = ['-keyout', key, '-out', certificate]
  await promisify(execFile)('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    ...subject,
    ...files,
  ])
  const privateKey = await importPKCS8(readFileSync(key, 'utf8'), 'RS256')
  const x5c = [readFileSync(certificate, 'utf8').replace(/-----[^-]+-----|\s/g, '')]
  const grant = (scopes: readonly string[]) =>
    new SignJWT({ access: scopes.map(accessOf), jti: randomUUID() })
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', x5c })
      .setIssuer(ISSUER)
      .setAudience(SERVICE)
      .setSubject(account.username)
      .setIssuedAt()
      .setNotBefore('-10s')
      .setExpirationTime(`${TOKEN_SECONDS}s`)
      .sign(privateKey)
  const granted: string[][] = []
  let refusals = 0

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://tokens.invalid')
    const expected = `Basic ${Buffer.from(`${account.username}:${account.password}`).toString('base64')}`
    if (url.searchParams.get('service') !== SERVICE || request.headers.authorization !== expected) {
      refusals += 1
      response.writeHead(401, { 'content-type': 'application/json' }).end('{"details":"incorrect"}')
      return
    }
    const scopes = url.searchParams.getAll('scope').flatMap((scope) => scope.split(' '))
    granted.push(scopes)
    const token = await grant(scopes)
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ token, access_token: token, expires_in: TOKEN_SECONDS }))
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const realm = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`
  const settings = { realm, service: SERVICE, issuer: ISSUER, rootcertbundle: certificate }
  const lines = Object.entries(settings).map(([name, value]) => `    ${name}: ${value}\n`)
  return {
    configuration: `  token:\n${lines.join('')}`,
    grant,
    granted,
    refusals: () => refusals,
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** `repository:team/app:pull,push` as a claim; names may hold colons, so the last one counts. */
function accessOf(scope: string): { type: string; name: string; actions: string[] } {
  const [type = '', ...rest] = scope.split(':')
  const actions = rest.pop() ?? ''
  return { type, name: rest.join(':'), actions: actions.split(',') }
}
