import type { Env } from './env.ts'

/** Every message of the work queue: a kind and ids, never payloads. A handler may run twice. */
export type WorkMessage =
  | { kind: 'scan.dispatch'; org: number; scanId: string; outboxId?: string }
  | { kind: 'scan.ingest'; org: number; scanId: string; outboxId?: string }
  | { kind: 'registry.sync'; org: number; registryId: string; outboxId?: string }
  | { kind: 'registry.delete'; org: number; registryId: string; outboxId?: string }
  | { kind: 'artifacts.recount'; org: number; seq: number; after: number; outboxId?: string }
  | { kind: 'artifacts.retire'; org: number; imageId: string; outboxId?: string }

export async function handleQueue(_batch: MessageBatch<WorkMessage>, _env: Env): Promise<void> {}
