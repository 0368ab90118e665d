import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { parseImageReference } from '../../src/pull/image-reference.ts'
import { type PulledImage, type PullRequest, pullImage } from '../../src/pull/pull-image.ts'
import { aDirectory } from './directory.ts'
import { aRegistry, type Registry } from './registry.ts'
import type { SELF_SIGNED } from './self-signed.ts'

const POLICY = { allowPrivateNetworks: true, insecure: true, idleMs: 10_000 }
/** For registries that stall. */
export const IMPATIENT = { ...POLICY, idleMs: 300 }

/** A registry that is gone when the test is over. */
export async function registryOf(tls?: typeof SELF_SIGNED): Promise<Registry> {
  const registry = await aRegistry(tls)
  onTestFinished(() => registry.close())
  return registry
}

/** Pulls into a directory of its own, with generous bounds. */
export async function pull(
  ref: string,
  over: Partial<PullRequest> = {},
): Promise<PulledImage & { layoutDir: string }> {
  const layoutDir = join(await aDirectory(), 'image')
  const image = await pullImage({
    reference: parseImageReference(ref),
    credentials: null,
    digest: null,
    indexDigest: null,
    platform: 'linux/amd64',
    policy: POLICY,
    signal: new AbortController().signal,
    retryMs: 1,
    layoutDir,
    maxImageBytes: 10_000_000,
    maxUnpackedBytes: 10_000_000,
    onProgress: () => {},
    ...over,
  })
  return { ...image, layoutDir }
}

/** The code that a pull fails with, or `pulled`. */
export const failure = (pulling: Promise<unknown>) =>
  pulling.then(
    () => 'pulled',
    (error: { code?: string }) => error.code ?? String(error),
  )
