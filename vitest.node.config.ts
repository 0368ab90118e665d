import { defineConfig } from 'vitest/config'

/** Tests that run in Node: the runner, and what the development tools do. The Worker's run in workerd. */
export default defineConfig({
  test: {
    environment: 'node',
    include: ['scanner-runner/test/**/*.test.ts', 'test/node/**/*.test.ts'],
  },
})
