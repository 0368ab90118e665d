import type { Env } from './env.ts'
import { handleQueue, type WorkMessage } from './queue.ts'

export { RateLimit } from './http/rate-limit.ts'
export { RunnerPool } from './scanning/sensors/runner-pool.ts'

export default {
  fetch: () => new Response('ok'),
  queue: handleQueue,
} satisfies ExportedHandler<Env, WorkMessage>
