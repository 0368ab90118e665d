import type { ResultPackage } from '../sensors/result.ts'
import type { Wanted } from './catalogue.ts'
import { meetingKey, meetingKeys } from './packages.ts'

export type KnownPackage = Pick<
  ResultPackage,
  'type' | 'namespace' | 'name' | 'version' | 'distro' | 'source' | 'module' | 'owner'
>

/** Packages that only findings of a result name, whatever they are. */
export class UnlistedPackages {
  private readonly made: readonly Wanted[]

  constructor(made: readonly Wanted[]) {
    this.made = made
  }

  /** Names and versions under which the artifact may know them. */
  names(): (readonly [name: string, version: string])[] {
    return this.made.flatMap(({ name, version }) => {
      const short = name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf(':')) + 1)
      const names = new Set([name, name.toLowerCase(), short, short.toLowerCase().replace(/[-_.]+/g, '-')])
      return [...names].map((each) => [each, version] as const)
    })
  }

  /**
   * Those that the artifact knows are these: an engine that runs without the ones that list packages speaks of the
   * same packages as before. Of several the first that has a type.
   */
  adopt(known: readonly KnownPackage[]): void {
    const byKey = new Map<string, KnownPackage>()
    for (const one of known) {
      if (one.type === 'generic') continue
      const record = { ...one, printed: one, lister: 'syft', license: null, isTyped: true } as const
      for (const key of meetingKeys(record)) if (!byKey.has(key)) byKey.set(key, one)
    }
    for (const made of this.made) made.known = byKey.get(meetingKey(made.name, made.version)) ?? null
  }
}
