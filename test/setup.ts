import { applyD1Migrations, type D1Migration } from 'cloudflare:test'
import { env } from 'cloudflare:workers'

declare global {
  namespace Cloudflare {
    interface GlobalProps {
      mainModule: typeof import('../src/worker.ts')
    }
    interface Env extends AppEnv {
      TEST_DIRECTORY_MIGRATIONS: D1Migration[]
      TEST_SHARD_MIGRATIONS: D1Migration[]
    }
  }
}
type AppEnv = import('../src/env.ts').Env

await applyD1Migrations(env.DIRECTORY, env.TEST_DIRECTORY_MIGRATIONS)
await applyD1Migrations(env.SHARD_00!, env.TEST_SHARD_MIGRATIONS)
await applyD1Migrations(env.SHARD_01!, env.TEST_SHARD_MIGRATIONS)
