import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ensureSampleDatabases } from '../../../dev/local/databases.ts'
import { fingerprint } from '../../../dev/local/fingerprint.ts'
import { ensureSampleImage } from '../../../dev/local/sample-image.ts'

let work: string
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'samples-'))
})
afterEach(() => rmSync(work, { recursive: true, force: true }))

const inode = (...path: string[]) => statSync(join(work, ...path)).ino

describe('what a start keeps from the last one', () => {
  it('is the sample databases, until their data or their writers change', async () => {
    const dir = join(work, 'databases')
    const written = async () => {
      await ensureSampleDatabases(dir, null)
      return inode('databases')
    }
    const first = await written()
    expect(await written()).toBe(first)
    writeFileSync(join(dir, 'fingerprint'), 'that of other sources')
    expect(await written()).not.toBe(first)
  })

  it('is the sample image, until what writes it changes', () => {
    const dir = join(work, 'image')
    const image = ensureSampleImage(dir)
    const layout = () => inode('image', 'index.json')
    const first = layout()
    expect(ensureSampleImage(dir)).toEqual(image)
    expect(layout()).toBe(first)
    writeFileSync(join(dir, 'mark'), '')
    writeFileSync(join(dir, 'written.json'), JSON.stringify({ fingerprint: 'other', image }))
    expect(ensureSampleImage(dir)).toEqual(image)
    expect(() => inode('image', 'mark')).toThrow()
  })

  it('is judged by the name and the content of every file that it comes from', () => {
    const file = (name: string) => join(work, 'sources', name)
    mkdirSync(join(work, 'sources'))
    const seen = new Set<string>()
    const look = () => seen.add(fingerprint(work, ['sources']))
    writeFileSync(file('a.ts'), 'one')
    look()
    writeFileSync(file('a.ts'), 'two')
    look()
    writeFileSync(file('b.ts'), '')
    look()
    renameSync(file('b.ts'), file('c.ts'))
    look()
    expect(seen.size).toBe(4)
    look()
    expect(seen.size).toBe(4)
  })
})
