import type { Database, Statement } from '../../../src/db/database.ts'

/** A database whose isolate ends right after its `batches`th batch took effect. */
export function endingAfter(db: Database, batches: number): Database {
  let seen = 0
  return new Proxy(db, {
    get(target, name) {
      const member = Reflect.get(target, name, target) as unknown
      if (typeof member !== 'function') return member
      if (name !== 'batch') return member.bind(target)
      return async (statements: readonly Statement[]) => {
        const result = await target.batch(statements)
        if (++seen === batches) throw new Error('the isolate ended')
        return result
      }
    },
  })
}
