import { DurableObject } from 'cloudflare:workers'

const HINT_MILLISECONDS = 10 * 60_000 // a hint older than this is worth no more than the rotation
const MAX_HINTS = 100 // shards of a pool

/**
 * A hint, never the truth: which shards have claimable work for one pool of runners ("cloud", or a registry's
 * id). Without it a poll asks shards in rotation.
 */
export class RunnerPool extends DurableObject {
  private readonly shards = new Map<string, number>()

  /** Work was made claimable in `shard`. */
  announce(shard: string, now: number): void {
    this.shards.delete(shard)
    this.shards.set(shard, now)
    if (this.shards.size > MAX_HINTS) this.shards.delete(this.shards.keys().next().value!)
  }

  /** Shards that may have work, the longest waiting first. */
  hints(now: number): string[] {
    for (const [shard, at] of this.shards) if (at < now - HINT_MILLISECONDS) this.shards.delete(shard)
    return [...this.shards.keys()]
  }

  /** A poll found nothing in `shard`. */
  exhausted(shard: string): void {
    this.shards.delete(shard)
  }
}
