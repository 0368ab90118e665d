import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { type ProcessSpec, runProcess } from '../src/engines/process.ts'
import { aDirectory } from './support/directory.ts'
import { ended } from './support/processes.ts'

vi.setConfig({ testTimeout: 30_000 }) // starting processes takes its time on a busy machine

/** Runs a Node program in an empty directory, with an environment that names nothing. */
async function run(program: string, over: Partial<ProcessSpec> = {}) {
  const cwd = await aDirectory()
  const end = await runProcess({
    command: process.execPath,
    args: ['-e', program],
    cwd,
    env: { HOME: cwd },
    stdoutFile: join(cwd, 'stdout'),
    outputs: [join(cwd, 'stdout')],
    maxOutputBytes: 1_000_000,
    timeoutMs: 20_000,
    signal: new AbortController().signal,
    killAfterMs: 200,
    ...over,
  })
  return { ...end, cwd, stdout: await readFile(join(cwd, 'stdout'), 'utf8').catch(() => '') }
}

const IGNORES_TERM = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);`

describe('a process', () => {
  it('gives its exit code, its stdout in a file and both ends of its stderr without colours', async () => {
    const end = await run(
      `console.log('out'); console.error('the start' + 'x'.repeat(20000) + '\\x1b[31mthe end\\x1b[0m'); process.exitCode = 3`,
    )
    expect(end).toMatchObject({ kind: 'exited', code: 3, stdout: 'out\n' })
    expect(end.stderr).toMatch(/xthe end\n$/)
    expect(end.stderr).toMatch(/^the startx/)
    expect(end.stderr.length).toBeLessThanOrEqual(12_288)
  })

  it('sees nothing of the environment but what it is given', async () => {
    process.env.HG_CANARY = 'canary'
    const { stdout, cwd } = await run(
      'console.log(JSON.stringify([Object.keys(process.env), process.cwd()]))',
    )
    delete process.env.HG_CANARY
    expect(JSON.parse(stdout)).toEqual([['HOME'], cwd])
  })

  it('is killed at its deadline even when it ignores SIGTERM', async () => {
    const end = await run(IGNORES_TERM, { timeoutMs: 300 })
    expect(end.kind).toBe('timeout')
    expect(end.durationMs).toBeLessThan(5000)
  })

  it('may end in its own way at SIGTERM', async () => {
    const end = await run(
      `process.on('SIGTERM', () => { console.log('bye'); process.exit(0) }); setInterval(() => {}, 1000)`,
      { timeoutMs: 500, killAfterMs: 5000 },
    )
    expect(end).toMatchObject({ kind: 'timeout', stdout: 'bye\n' })
  })

  it('is stopped when it writes more than is accepted', async () => {
    const end = await run(`setInterval(() => process.stdout.write('x'.repeat(100000)), 1)`, {
      maxOutputBytes: 500_000,
    })
    expect(end.kind).toBe('output_too_large')
  })

  it('that wrote too much before it could be stopped is refused all the same', async () => {
    const end = await run(`process.stdout.write('x'.repeat(100000))`, { maxOutputBytes: 50_000 })
    expect(end.kind).toBe('output_too_large')
  })

  it('is stopped by an abort', async () => {
    const controller = new AbortController()
    const stdoutFile = join(await aDirectory(), 'out')
    const running = run(`console.log('ready'); ${IGNORES_TERM}`, { signal: controller.signal, stdoutFile })
    while ((await readFile(stdoutFile, 'utf8').catch(() => '')) === '')
      await new Promise((done) => setImmediate(done))
    controller.abort()
    expect((await running).kind).toBe('aborted')
  })

  it('is not started after an abort', async () => {
    const cwd = await aDirectory()
    const end = await runProcess({
      ...{ command: process.execPath, args: ['-e', `require('fs').writeFileSync('ran', '')`], cwd, env: {} },
      ...{ stdoutFile: null, outputs: [], maxOutputBytes: 1, timeoutMs: 1000, signal: AbortSignal.abort() },
    })
    expect(end.kind).toBe('aborted')
    await expect(readFile(join(cwd, 'ran'))).rejects.toThrow()
  })

  it('takes the children that it forked with it, also after a good end', async () => {
    const fork = `
      const { spawn } = require('child_process')
      const child = spawn(process.execPath, ['-e', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"], { stdio: 'inherit' })
      console.log(child.pid)
      child.unref()`
    const end = await run(`${fork}; setTimeout(() => process.exit(0), 100)`)
    expect(end).toMatchObject({ kind: 'exited', code: 0 })
    expect(await ended(Number(end.stdout))).toBe(true)
    const killed = await run(`${fork}; ${IGNORES_TERM}`, { timeoutMs: 500 })
    expect(killed.kind).toBe('timeout')
    expect(await ended(Number(killed.stdout))).toBe(true)
  })

  it('that was killed by somebody else says so', async () => {
    expect(await run(`process.kill(process.pid, 'SIGKILL')`)).toMatchObject({ kind: 'signalled', code: null })
  })

  it('that cannot be started says so', async () => {
    const cwd = await aDirectory()
    await writeFile(join(cwd, 'not-a-program'), 'text')
    for (const command of [join(cwd, 'missing'), join(cwd, 'not-a-program')])
      expect((await run('', { command })).kind).toBe('not_started')
  })
})
