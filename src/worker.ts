import { createApp } from './app.ts'
import { handleScheduled } from './cron.ts'
import type { Env } from './env.ts'
import { handleQueue, type WorkMessage } from './queue.ts'

export { RateLimit } from './http/rate-limit.ts'
export { ScanViewers } from './scanning/scan-viewers.ts'
export { RunnerPool } from './scanning/sensors/runner-pool.ts'

const app = createApp()

export default {
  fetch: (request, env, execution) => app.fetch(request, env, execution),
  queue: handleQueue,
  scheduled: (controller, env, execution) => handleScheduled(env, execution, controller.scheduledTime),
} satisfies ExportedHandler<Env, WorkMessage>
