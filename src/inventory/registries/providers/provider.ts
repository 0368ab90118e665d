import type { z } from '@hono/zod-openapi'
import type { SafeFetch } from '../../../net/safe-fetch.ts'
import type { RegistryCredentials, UsernamePassword } from '../credentials.ts'
import type { RegistryOutcome } from '../errors.ts'

/** All that a provider needs to talk to one registry. */
export interface RegistryConnection {
  fetch: SafeFetch
  /** Scheme, host and port, no path: `https://registry.example.com`. */
  baseUrl: string
  /** Plain http is allowed, for the registry and for its token server. */
  insecure: boolean
  /** null is anonymous access; credentials that fail are an error, never anonymous access. */
  credentials: RegistryCredentials | null
  /** Time limit of each call in milliseconds; 20 s unless told. */
  timeoutMs?: number
  /** Ends the whole piece of work; what was under way is a `timeout`. */
  signal?: AbortSignal
  /** Milliseconds since 1970; decides when a token is renewed. */
  now?: () => number
}

export interface ProbeResult {
  scheme: 'none' | 'basic' | 'bearer'
  /** `host[:port]` of the token server; null without one. */
  tokenHost: string | null
}

export interface Page {
  items: string[]
  /** Where to go on; null at the end. Opaque, and good for a later call with the same registry. */
  next: string | null
  /** Names that do not fit Docker's grammar and were left out. */
  skipped: number
}

export interface PageRequest {
  cursor?: string | null
  /** Pages read in one call. */
  maxPages?: number
}

export interface ImageVersion {
  /** Digest of what the tag or digest names: an index or a manifest. */
  digest: string
  mediaType: string | null
}

export interface ResolvedImage {
  /** Digest of the index that names the manifest; null for a manifest without one. */
  indexDigest: string | null
  /** Digest of the manifest to scan. */
  digest: string
  platform: string
  /** Every platform there is, attestations left out. */
  platforms: string[]
}

/** An open conversation with one registry. It keeps tokens: make one for each piece of work and drop it. */
export interface RegistryClient {
  /** Whether there is a registry that takes the credentials. */
  probe(): Promise<RegistryOutcome<ProbeResult>>
  listRepositories(page?: PageRequest): Promise<RegistryOutcome<Page>>
  listTags(repository: string, page?: PageRequest): Promise<RegistryOutcome<Page>>
  /** Digest of a tag or digest, without its content where the registry can. */
  headVersion(repository: string, reference: string): Promise<RegistryOutcome<ImageVersion>>
  /** The manifest for a platform: the one asked for, else linux/amd64, else the only one. */
  resolveImage(
    repository: string,
    reference: string,
    platform: string | null,
  ): Promise<RegistryOutcome<ResolvedImage>>
  /** What a runner pulls with: narrower and shorter-lived than the stored secret where the provider can mint it. */
  pullCredentials(repository: string): Promise<RegistryOutcome<UsernamePassword | null>>
}

export interface RegistryProvider {
  /** Schema of the credentials this provider takes. */
  credentials: z.ZodType<RegistryCredentials>
  open(connection: RegistryConnection): RegistryClient
}
