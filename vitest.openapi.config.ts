import { defineConfig } from 'vitest/config'

/** The OpenAPI document held against the running Worker by schemathesis, a Python program with a venv of its own. */
export default defineConfig({
  test: {
    environment: 'node',
    include: ['test/schemathesis/**/*.test.ts'],
    testTimeout: 10 * 60_000, // about a minute and a half on an idle machine
    onConsoleLog: (log) => !log.includes('[wrangler:'), // each queue batch of the Worker
    hookTimeout: 5 * 60_000,
  },
})
