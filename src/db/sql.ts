import type { Param, Statement } from './database.ts'

/**
 * SQL composed of parts: `sql\`… WHERE org = ${org} AND ${condition}\``. A statement is spliced in with its
 * values; anything else is bound, so no value ever becomes SQL.
 */
export function sql(text: TemplateStringsArray, ...parts: (Statement | Param)[]): Statement {
  let out = text[0]!
  const params: Param[] = []
  parts.forEach((part, index) => {
    if (part !== null && typeof part === 'object') {
      out += part.sql
      params.push(...part.params)
    } else {
      out += '?'
      params.push(part)
    }
    out += text[index + 1]!
  })
  return { sql: out, params }
}

/** SQL that this program wrote itself: names of columns and indexes. Never anything from outside. */
export const raw = (text: string): Statement => ({ sql: text, params: [] })

/** Parts with a separator between them. */
export const joined = (parts: readonly Statement[], separator: string): Statement => ({
  sql: parts.map((part) => part.sql).join(separator),
  params: parts.flatMap((part) => part.params),
})

/** All conditions at once; true when there is none. */
export const allOf = (conditions: readonly Statement[]): Statement =>
  conditions.length > 0 ? joined(conditions, ' AND ') : raw('1')
