import { defineConfig } from 'vitest/config'

/**
 * The main job with real processes, real engines and real registries. Files share one running system, each with
 * organizations of its own; a few run at a time, for most of them wait for something most of the time.
 */
export default defineConfig({
  test: {
    globalSetup: 'test/e2e/global-setup.ts',
    include: ['test/e2e/**/*.test.ts'],
    maxWorkers: 3,
    testTimeout: 15 * 60_000, // compiling an engine for the first time takes five minutes
    hookTimeout: 15 * 60_000,
  },
})
