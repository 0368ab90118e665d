import { randomBytes } from 'node:crypto'
import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'
import { copyDocsAssets } from './dev/docs-assets.mjs'
import { answerFakeRegistry } from './test/node/fake-registry/serve.ts'

copyDocsAssets()

const secret = (bytes: number) => randomBytes(bytes).toString('base64')

/** Tests that run inside workerd, over real D1, R2, Queues and Durable Objects. Each file has its own storage. */
export default defineConfig({
  assetsInclude: ['**/*.json.gz'], // engines' recorded outputs
  plugins: [
    cloudflareTest(async () => ({
      wrangler: { configPath: './wrangler.toml' },
      miniflare: {
        outboundService: { node: answerFakeRegistry },
        bindings: {
          ALLOW_PRIVATE_NETWORKS: 'true',
          EXPOSE_D1_METER: 'true',
          REGISTRY_TIMEOUT_MS: '1000',
          OPERATOR_TOKEN: secret(32),
          HG_CHAOS_SCANS: process.env.HG_CHAOS_SCANS ?? '',
          HG_FAULT_SEED: process.env.HG_FAULT_SEED ?? '',
          ROOT_KEYS: JSON.stringify({ active: 'test', keys: { test: secret(32) } }),
          HG_FUZZ_CASES: process.env.HG_FUZZ_CASES ?? '',
          HG_FUZZ_SEED: process.env.HG_FUZZ_SEED ?? '',
          TEST_DIRECTORY_MIGRATIONS: await readD1Migrations('migrations/directory'),
          TEST_SHARD_MIGRATIONS: await readD1Migrations('migrations/shard'),
        },
      },
    })),
  ],
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/node/**', 'test/e2e/**', 'test/bench/**', 'test/schemathesis/**'],
    setupFiles: ['test/setup.ts'],
    testTimeout: 20_000,
    silent: 'passed-only', // the Worker's log lines stand beside what failed
  },
})
