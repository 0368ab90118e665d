import { UsernamePassword } from '../credentials.ts'
import { done, fail, type RegistryOutcome } from '../errors.ts'
import { listRepositories, listTags } from './listing.ts'
import type { ProbeResult, RegistryClient, RegistryConnection, RegistryProvider } from './provider.ts'
import { headVersion, resolveImage } from './resolve.ts'
import { authorizedRequest, openSession, type Session, tryBasic } from './session.ts'
import { realmHost } from './token.ts'

const MAX_PROBE_BYTES = 64 * 1024 // a registry answers with nothing or {}

const ROOT = { path: '/v2/', scope: null, maxBytes: MAX_PROBE_BYTES }

/** Any registry that speaks the OCI distribution protocol: anonymous, Basic, or Bearer tokens. */
export const distribution: RegistryProvider = {
  credentials: UsernamePassword,
  open: openDistribution,
}

function openDistribution(connection: RegistryConnection): RegistryClient {
  const session = openSession(connection)
  const afterProbe = authenticated(session)
  return {
    probe: () => probe(session),
    listRepositories: (page = {}) => afterProbe(() => listRepositories(session, page)),
    listTags: (repository, page = {}) => afterProbe(() => listTags(session, repository, page)),
    headVersion: (repository, reference) => afterProbe(() => headVersion(session, repository, reference)),
    resolveImage: (repository, reference, platform) =>
      afterProbe(() => resolveImage(session, repository, reference, platform)),
    // The protocol has no narrower secret that lives as long as a pull: the runner exchanges tokens itself.
    pullCredentials: async () => done(connection.credentials),
  }
}

/** Stored credentials are proved before anything is read, so that no open registry hides that they are wrong. */
function authenticated(session: Session) {
  let proof: Promise<RegistryOutcome<ProbeResult>> | null = null
  return async <T>(read: () => Promise<RegistryOutcome<T>>): Promise<RegistryOutcome<T>> => {
    if (session.connection.credentials === null) return read()
    proof ??= probe(session)
    const proved = await proof
    if (proved.ok) return read()
    proof = null
    return proved
  }
}

/**
 * `GET /v2/`. Where that is open although credentials are stored, it is asked again with them, so that wrong ones
 * are found out now and right ones are sent from then on.
 */
async function probe(session: Session): Promise<RegistryOutcome<ProbeResult>> {
  let reply = await authorizedRequest(session, ROOT)
  const open = reply.ok && session.bearer === null && !session.sendsBasic
  if (open && session.connection.credentials !== null) reply = await tryBasic(session, ROOT)
  if (!reply.ok) {
    const message = 'There is no registry at this address.'
    const elsewhere = ['not_found', 'unexpected_status', 'too_large'].includes(reply.error.kind)
    return elsewhere ? fail({ kind: 'invalid_reply', message }) : reply
  }
  if (/html/i.test(reply.value.headers.get('content-type') ?? '')) {
    return fail({ kind: 'invalid_reply', message: 'It answers with a web page.' })
  }
  if (session.bearer !== null) return done({ scheme: 'bearer', tokenHost: realmHost(session.bearer.realm) })
  return done({ scheme: session.sendsBasic && !open ? 'basic' : 'none', tokenHost: null })
}
