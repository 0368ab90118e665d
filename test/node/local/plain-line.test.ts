import { expect, it } from 'vitest'
import { plainLine } from '../../../dev/local/plain-line.ts'

const JSON_LINE = '{"level":"error","event":"message","kind":"scan.ingest"}'

it.each([
  ['what the Worker logs', JSON_LINE, JSON_LINE],
  [
    'an error in its frame',
    `\x1b[31m✘ \x1b[41;31m[\x1b[41;97mERROR\x1b[41;31m]\x1b[0m \x1b[1m${JSON_LINE}\x1b[0m`,
    JSON_LINE,
  ],
  [
    'a warning in its frame',
    `\x1b[33m▲ \x1b[43;33m[\x1b[43;30mWARNING\x1b[43;33m]\x1b[0m \x1b[1m${JSON_LINE}\x1b[0m`,
    JSON_LINE,
  ],
  ["wrangler's own error", '✘ [ERROR] Build failed', '✘ [ERROR] Build failed'],
  [
    "wrangler's own line",
    '[wrangler:info] Ready on http://127.0.0.1:8787',
    '[wrangler:info] Ready on http://127.0.0.1:8787',
  ],
  ['an empty line', '\x1b[0m', null],
])('%s is one plain line, or none', (_what, line, expected) => {
  expect(plainLine(line)).toBe(expected)
})
