import type { Dice } from '../../risk/findings/world.ts'
import { VALUES } from './values.ts'

/** Makes valid documents hostile: every path of a document, every way to say it wrong. Pure; all chance is `dice`. */

export type Path = (string | number)[]
type Container = Record<string | number, unknown>

/** Every path below a document, the containers too. */
export function pathsOf(document: unknown, at: Path = []): Path[] {
  if (typeof document !== 'object' || document === null) return [at]
  const below = Object.keys(document).flatMap((name) =>
    pathsOf((document as Container)[name], [...at, Array.isArray(document) ? Number(name) : name]),
  )
  return at.length === 0 ? below : [at, ...below]
}

export const valueAt = (document: unknown, path: Path): unknown =>
  path.reduce<unknown>((value, name) => (value as Container | null)?.[name], document)

/** A copy in which the member at `path` is other; the document as it is where the path leads nowhere. */
function changed(
  document: unknown,
  path: Path,
  change: (parent: Container, name: string | number) => unknown,
) {
  const copy = structuredClone(document)
  const parent = valueAt(copy, path.slice(0, -1))
  if (typeof parent === 'object' && parent !== null) change(parent as Container, path.at(-1)!)
  return copy
}

const define = (parent: Container, name: string | number, value: unknown) =>
  Object.defineProperty(parent, name, { value, enumerable: true, configurable: true, writable: true })

type Way = (document: unknown, path: Path, dice: Dice, paths: readonly Path[]) => unknown

/** What is done at one path. */
export const WAYS: Record<string, Way> = {
  replace: (document, path, dice) =>
    changed(document, path, (parent, name) => define(parent, name, dice.pick(VALUES))),
  remove: (document, path) =>
    changed(document, path, (parent, name) => {
      if (Array.isArray(parent)) parent.splice(Number(name), 1)
      else delete parent[name]
    }),
  rename: (document, path, dice) =>
    changed(document, path, (parent, name) => {
      if (Array.isArray(parent)) return parent.reverse()
      const other = dice.pick([
        '__proto__',
        'constructor',
        `${name} `,
        String(name).toUpperCase(),
        '',
        'toJSON\0',
      ])
      const value = parent[name]
      delete parent[name]
      define(parent, other, value)
    }),
  add: (document, path, dice) =>
    changed(document, path, (parent) => {
      const name = dice.pick([
        '__proto__',
        'constructor',
        'toJSON',
        'then',
        'length',
        'valueOf',
        '\ud800',
        'org',
      ])
      if (Array.isArray(parent)) parent.unshift(dice.pick(VALUES))
      else define(parent, name, dice.pick(VALUES))
    }),
  repeat: (document, path, dice) =>
    changed(document, path, (parent, name) => {
      const one = parent[name]
      const times = dice.pick([1, 2, 17, 51, 101, 501])
      if (Array.isArray(parent)) parent.push(...Array.from({ length: times }, () => structuredClone(one)))
      else
        define(
          parent,
          name,
          Array.from({ length: times }, () => structuredClone(one)),
        )
    }),
  wrap: (document, path, dice) =>
    changed(document, path, (parent, name) =>
      define(parent, name, dice.chance(50) ? [parent[name]] : { value: parent[name] }),
    ),
  copy: (document, path, dice, paths) => {
    const from = structuredClone(valueAt(document, dice.pick(paths)))
    return changed(document, path, (parent, name) => define(parent, name, from))
  },
  empty: (document, path) =>
    changed(document, path, (parent, name) => {
      const value = parent[name]
      const nothing = { string: '', number: 0, boolean: false }[typeof value as 'string']
      define(parent, name, Array.isArray(value) ? [] : typeof value === 'object' ? {} : nothing)
    }),
  stretch: (document, path, dice) =>
    changed(document, path, (parent, name) => {
      const value = parent[name]
      const times = dice.pick([2, 64, 300, 5000])
      if (typeof value === 'string') define(parent, name, value.repeat(times).slice(0, 100_000))
      else if (typeof value === 'number') define(parent, name, value * times + 0.5)
      else define(parent, name, null)
    }),
  reorder: (document) =>
    typeof document === 'object' && document !== null && !Array.isArray(document)
      ? Object.fromEntries(Object.entries(document).reverse())
      : document,
}

const at = (text: string, dice: Dice): number => dice.below(Math.max(1, text.length))

/** What is done to the text of a document. */
export const SPOILINGS: Record<string, (text: string, dice: Dice) => string> = {
  'cut off': (text, dice) => text.slice(0, at(text, dice)),
  'without its beginning': (text, dice) => text.slice(at(text, dice)),
  'a character replaced': (text, dice) => {
    const where = at(text, dice)
    const by = dice.pick(['"', '{', '}', '[', ']', ',', ':', '\\', '\0', '\ufffd', '0', 'e', '\n', '-'])
    return text.slice(0, where) + by + text.slice(where + 1)
  },
  'a piece twice': (text, dice) => {
    const [from, to] = [at(text, dice), at(text, dice)].sort((a, b) => a - b) as [number, number]
    return text.slice(0, to) + text.slice(from)
  },
  'a piece missing': (text, dice) => {
    const [from, to] = [at(text, dice), at(text, dice)].sort((a, b) => a - b) as [number, number]
    return text.slice(0, from) + text.slice(to)
  },
  'a member twice': (text, dice) => {
    const twice = dice.pick([
      '"fence":99,',
      '"version":"9",',
      '"scan":{},',
      '"image":null,',
      '"__proto__":{},',
    ])
    return dice.chance(50) ? text.replace('{', `{${twice}`) : text.replace(/\}$/, `,${twice.slice(0, -1)}}`)
  },
  'white space everywhere': (text) => text.replaceAll(',"', ' ,\r\n\t "'),
  'a byte order mark': (text) => `\ufeff${text}`,
  'something behind': (text, dice) => text + dice.pick(['{}', ',', ']', '\0', 'null', text]),
  'as a text': (text) => JSON.stringify(text),
}
