import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, matchesGlob, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { validate } from 'dockerfile-utils'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TEXT = readFileSync(join(ROOT, 'scanner-runner/Dockerfile'), 'utf8')

interface Instruction {
  name: string
  arguments: string
}

/** The instructions of each stage; continuation lines are joined and comments left out. */
function stages(text: string): Instruction[][] {
  const lines = text
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
  const found: Instruction[][] = [[]]
  for (const line of lines.filter((one) => one.trim() !== '')) {
    const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? []
    if (name === 'FROM') found.push([])
    found.at(-1)?.push({ name, arguments: rest.trim() })
  }
  return found
}

const [globals = [], ...built] = stages(TEXT)
const last = built.at(-1) ?? []
const of = (instructions: Instruction[], name: string) =>
  instructions.filter((one) => one.name === name).map((one) => one.arguments)

/** Every file that the program loads, from its imports. */
function loaded(entry: string, seen = new Set<string>()): Set<string> {
  const path = relative(ROOT, entry)
  if (seen.has(path)) return seen
  seen.add(path)
  if (!entry.endsWith('.ts')) return seen
  const source = readFileSync(entry, 'utf8')
  for (const [, target = ''] of source.matchAll(/^(?:import|export)\s(?!type\s)[^'"]*?['"](\.[^'"]+)['"]/gm))
    loaded(join(dirname(entry), target), seen)
  return seen
}

const copied = (instructions: Instruction[]) =>
  of(instructions, 'COPY')
    .filter((text) => !text.startsWith('--from'))
    .flatMap((text) => text.split(/\s+/).slice(0, -1))

describe('the Dockerfile', () => {
  it('has no finding of the linter', () => {
    expect(validate(TEXT)).toEqual([])
  })

  it('takes its images by exact version, never latest', () => {
    const images = of(globals, 'ARG').filter((text) => text.includes('IMAGE='))
    expect(images.length).toBeGreaterThan(0)
    for (const image of images)
      expect(image).toMatch(/=[a-z/.-]+:\d+\.\d+\.\d+-[a-z-]+(@sha256:[0-9a-f]{64})?$/)
    const stageNames = built.map(([from]) => / AS (\S+)$/.exec(from?.arguments ?? '')?.[1])
    for (const [from] of built) {
      const base = from?.arguments.split(' ')[0] ?? ''
      expect(base.startsWith('$') || base.startsWith('engines-') || stageNames.includes(base)).toBe(true)
    }
  })

  it('runs as a numbered user that is not root, and never as root again', () => {
    expect(of(last, 'USER')).toEqual(['1000:1000'])
    const after = last.slice(last.findIndex(({ name }) => name === 'USER'))
    expect(after.some(({ name }) => name === 'RUN' || name === 'COPY')).toBe(false)
  })

  it('starts and is checked without a shell', () => {
    const [entry] = of(last, 'ENTRYPOINT')
    expect(JSON.parse(entry ?? '')).toEqual(['tini', '--', 'node', '/app/scanner-runner/src/main.ts'])
    const [check] = of(last, 'HEALTHCHECK')
    expect(JSON.parse(/CMD (\[.*\])$/.exec(check ?? '')?.[1] ?? '')).toEqual([
      'node',
      '/app/scanner-runner/src/healthcheck.ts',
    ])
    expect(of(last, 'STOPSIGNAL')).toEqual(['SIGTERM'])
  })

  it('writes to one volume only, and asks for no docker socket', () => {
    expect(of(last, 'VOLUME')).toEqual(['["/workspace"]'])
    expect(TEXT).not.toContain('docker.sock')
  })

  it('fetches nothing by ADD and holds no secret', () => {
    for (const stage of built) expect(of(stage, 'ADD')).toEqual([])
    for (const stage of [globals, ...built])
      for (const text of [...of(stage, 'ARG'), ...of(stage, 'ENV')])
        expect(text).not.toMatch(/KEY|TOKEN|PASSWORD|SECRET/)
  })

  it('takes engines by default from their makers or from source, never from a repackaged wheel', () => {
    expect(of(globals, 'ARG')).toContain('ENGINES=release')
    const stage = built.find(([from]) => from?.arguments.endsWith(' AS engines-release')) ?? []
    expect(of(stage, 'RUN').join()).toContain('"--sources", "release,go"')
  })

  it('copies every file that the runner and its health check load, and lets it through to the build', () => {
    const entries = ['main.ts', 'healthcheck.ts'].map((file) => join(ROOT, 'scanner-runner/src', file))
    const files = new Set(entries.flatMap((entry) => [...loaded(entry)]))
    expect(files.size).toBeGreaterThan(30)
    const sources = copied(last)
    for (const file of files)
      expect(
        sources.some((source) => file === source || file.startsWith(`${source}/`)),
        file,
      ).toBe(true)
    const allowed = readFileSync(join(ROOT, 'scanner-runner/Dockerfile.dockerignore'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1))
    for (const source of built.flatMap(copied))
      expect(
        allowed.some((one) => source === one || source.startsWith(`${one}/`) || matchesGlob(source, one)),
        source,
      ).toBe(true)
  })

  it('installs with the installer that it copies', () => {
    const installer = built.find(([from]) => from?.arguments.endsWith(' AS installer')) ?? []
    const sources = copied(installer)
    const directory = join(ROOT, 'scanner-runner/src/install')
    for (const file of readdirSync(directory))
      for (const path of loaded(join(directory, file)))
        expect(
          sources.some((source) => path === source || path.startsWith(`${source}/`)),
          path,
        ).toBe(true)
  })
})
