import { defineConfig } from 'vitest/config'

/** The main job with real processes, real engines and real registries; one file after another. */
export default defineConfig({
  test: {
    globalSetup: 'test/e2e/global-setup.ts',
    include: ['test/e2e/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 15 * 60_000, // compiling an engine for the first time takes five minutes
    hookTimeout: 15 * 60_000,
  },
})
