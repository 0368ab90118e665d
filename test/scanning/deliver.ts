import {
  createExecutionContext,
  createMessageBatch,
  getQueueResult,
  waitOnExecutionContext,
} from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import type { Env } from '../../src/env.ts'
import { handleQueue, type WorkMessage } from '../../src/queue.ts'

/** Hands a message to the consumer, as the queue would. */
export async function deliver(body: WorkMessage, attempts = 1) {
  const batch = createMessageBatch<WorkMessage>('harborguard-work', [
    { id: 'm', timestamp: new Date(), attempts, body },
  ])
  const execution = createExecutionContext()
  await handleQueue(batch, env as unknown as Env, execution)
  await waitOnExecutionContext(execution)
  return getQueueResult(batch, execution)
}
