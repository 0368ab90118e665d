import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { keepDatabases } from '../src/databases/database-keeper.ts'
import { updateDatabases } from '../src/databases/update-databases.ts'
import { createLog } from '../src/log.ts'
import { createRedactor } from '../src/redact.ts'
import { aDirectory } from './support/directory.ts'
import { type FakeEngines, fakeEngines } from './support/workshop.ts'

const never = new AbortController().signal

function aLog() {
  const events: string[] = []
  const write = (line: string) => void events.push(JSON.parse(line).event)
  return {
    events,
    log: createLog({ level: 'info', redactor: createRedactor(), write, now: () => new Date() }),
  }
}

async function update(engines: FakeEngines, environment: Record<string, string> = {}) {
  const scratchDir = join(await aDirectory(), 'scratch')
  await mkdir(scratchDir)
  const cache = await aDirectory()
  const source = { trivyCacheDir: join(cache, 'trivy'), grypeCacheDir: join(cache, 'grype'), samples: null }
  const installed = (['trivy', 'grype', 'syft'] as const).map((name) => {
    return { name, path: join(engines.directory, name), version: '9.9.9', sha256: '' }
  })
  const { log } = aLog()
  return updateDatabases({ engines: installed, source, scratchDir, environment, log, signal: never })
}

describe('an update of the databases', () => {
  it("asks trivy for its two and grype for its own, each by the engine's own updater", async () => {
    const engines = await fakeEngines()
    await engines.behave('trivy', 'quiet')
    await engines.behave('grype', 'quiet')
    expect(await update(engines)).toEqual([])
    const calls = await engines.calls()
    expect(
      calls.map(({ name, args }) => `${name} ${args.filter((arg) => /download|update/.test(arg))}`),
    ).toEqual(['trivy --download-db-only', 'trivy --download-java-db-only', 'grype update'])
  })

  it('names those that could not be had, and goes on with the others', async () => {
    const engines = await fakeEngines()
    await engines.behave('trivy', 'stderr:no such host')
    await engines.behave('grype', 'quiet')
    expect(await update(engines)).toEqual(['trivy', 'trivy-java'])
    expect((await engines.calls()).map(({ name }) => name)).toEqual(['trivy', 'trivy', 'grype'])
  })

  it('passes on proxies and mirrors, and no secret', async () => {
    const engines = await fakeEngines()
    await update(engines, {
      HTTPS_PROXY: 'http://proxy:3128',
      HG_API_KEY: 'canary',
      AWS_SECRET_ACCESS_KEY: 'canary',
    })
    for (const { env } of await engines.calls()) {
      expect(env.HTTPS_PROXY).toBe('http://proxy:3128')
      expect(JSON.stringify(env)).not.toContain('canary')
    }
  })
})

describe('the keeper of the databases', () => {
  const HOUR = 3_600_000

  function aKeeper() {
    const state = { now: 0, failed: [] as string[], updates: 0 }
    const { events, log } = aLog()
    const run = async () => {
      state.updates += 1
      return state.failed
    }
    return { state, events, keeper: keepDatabases(run, log, () => state.now) }
  }

  it('updates at start and not again for six hours', async () => {
    const { state, keeper } = aKeeper()
    expect(keeper.due()).toBe(true)
    await keeper.update(never)
    state.now = 6 * HOUR - 1
    expect(keeper.due()).toBe(false)
    state.now = 6 * HOUR
    expect(keeper.due()).toBe(true)
  })

  it('tries sooner after a failure, and says it once', async () => {
    const { state, events, keeper } = aKeeper()
    state.failed = ['trivy']
    for (let round = 0; round < 3; round++) {
      expect(keeper.due()).toBe(true)
      await keeper.update(never)
      expect(keeper.due()).toBe(false)
      state.now += HOUR / 4
    }
    expect(events).toEqual(['databases_not_updated'])
    state.failed = []
    await keeper.update(never)
    expect(events).toEqual(['databases_not_updated', 'databases_updated'])
  })
})
