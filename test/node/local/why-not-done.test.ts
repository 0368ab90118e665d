import { describe, expect, it } from 'vitest'
import { whyNotDone } from '../../../dev/local/why-not-done.ts'

const official = { builtAt: '2026-11-20T06:00:00Z', schema: null, source: 'official' }
const engine = (name: string, code: string | null) => ({
  name,
  version: '1',
  status: code ? 'failed' : 'succeeded',
  durationMs: 1,
  reason: code ? { code, message: 'A sentence.' } : null,
  database: code || name === 'syft' ? null : official,
})

describe('the main job', () => {
  it('is done when an engine looked for vulnerabilities, also when it found none or others failed', () => {
    const engines = [engine('trivy', null), engine('grype', 'database_unavailable'), engine('syft', null)]
    expect(whyNotDone({ status: 'COMPLETE', reason: null, engines })).toBeNull()
  })

  it('is not done by a scan that only listed packages, and every failed engine says why', () => {
    const engines = [
      engine('trivy', 'database_unavailable'),
      engine('grype', 'database_too_old'),
      engine('syft', null),
    ]
    const said = whyNotDone({ status: 'COMPLETE', reason: null, engines })
    expect(said).toMatch(/trivy: database_unavailable .*\n.*grype: database_too_old /)
  })

  it.each(['FAILED', 'CANCELLED'] as const)(
    'is not done by a scan that ended %s, which says why',
    (status) => {
      const reason = { code: 'image_not_found', message: 'A sentence.' }
      expect(whyNotDone({ status, reason, engines: [] })).toContain(`${status}: image_not_found`)
    },
  )
})
