import { describe, expect, it } from 'vitest'
import { createLog } from '../src/log.ts'
import { createRedactor } from '../src/redact.ts'

function aLog() {
  const lines: string[] = []
  const redactor = createRedactor()
  const write = (line: string) => void lines.push(line)
  const log = createLog({ level: 'info', redactor, write, now: () => new Date(0) })
  return { lines, redactor, log }
}

describe('the log', () => {
  it('is one JSON object a line', () => {
    const { lines, log } = aLog()
    log.with({ job: 'j1' }).info('job_started', { image: 'a\nb' })
    log.debug('hidden')
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/^[^\n]*\n$/)
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      time: '1970-01-01T00:00:00.000Z',
      level: 'info',
      event: 'job_started',
      job: 'j1',
      image: 'a\nb',
    })
  })

  const CANARY = 'caNary+pa/ss=w0rd'
  it.each([
    ['as it is', CANARY],
    ['URL-encoded', encodeURIComponent(CANARY)],
    ['as base64', Buffer.from(CANARY).toString('base64')],
    ['in an error', new Error(`refused ${CANARY}`)],
    ['in the cause of an error', new Error('refused', { cause: new Error(CANARY) })],
    ['deep inside', { a: [{ b: CANARY }] }],
  ])('never holds a known secret %s', (_how, value) => {
    const { lines, redactor, log } = aLog()
    redactor.add(CANARY)
    log.error('event', { value })
    const written = lines.join('')
    expect(written).toContain('[redacted]')
    for (const form of [CANARY, encodeURIComponent(CANARY), Buffer.from(CANARY).toString('base64')])
      expect(written).not.toContain(form)
  })

  it.each([
    `hg_rk_${'0a'.repeat(24)}`,
    'Authorization: Bearer abcdef123456',
    'Basic dXNlcjpwYXNzd29yZA==',
    'https://user:hunter22@registry.example/v2/',
    'https://s3.example/blob?X-Amz-Signature=deadbeef&x=1',
    'eyJhbGciOiJFQ0RILUVTIn0.abc.def.ghi.jkl',
  ])('hides what looks like a secret: %s', (text) => {
    const { lines, log } = aLog()
    log.info('event', { text })
    const written = lines.join('')
    for (const secret of ['0a0a', 'abcdef123456', 'dXNlcjpw', 'hunter22', 'deadbeef', 'eyJhbGci'])
      expect(written).not.toContain(secret)
  })

  it('hides a secret that two jobs share until both are over', () => {
    const { redactor } = aLog()
    redactor.add('canary-12')
    redactor.add('canary-12')
    redactor.remove('canary-12')
    expect(redactor.redact('canary-12')).toBe('[redacted]')
    redactor.remove('canary-12')
    expect(redactor.redact('canary-12')).toBe('canary-12')
  })
})
