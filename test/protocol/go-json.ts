/** `encoding/json` of Go, as far as the sensor decodes and encodes with it. */

export type GoType = 'string' | { array: GoType } | { struct: Record<string, GoType> } | { nullable: GoType }

/** Decodes into a struct as Go does: names in any letter case, null leaves a zero value, another type is an error. */
export function goDecode(text: string, type: GoType): unknown {
  if (text.trim() === '') throw new Error('EOF')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error(`invalid character in ${text.slice(0, 20)}`)
  }
  return into(value, type, '')
}

function into(value: unknown, type: GoType, path: string): unknown {
  const mismatch = (wanted: string) =>
    new Error(`json: cannot unmarshal ${typeof value} into Go value ${path} of type ${wanted}`)
  if (type === 'string') {
    if (value === null || value === undefined) return ''
    if (typeof value !== 'string') throw mismatch('string')
    return value
  }
  if ('nullable' in type) {
    return value === null || value === undefined ? null : into(value, type.nullable, path)
  }
  if ('array' in type) {
    if (value === null || value === undefined) return null
    if (!Array.isArray(value)) throw mismatch('[]')
    return value.map((item, index) => into(item, type.array, `${path}.${index}`))
  }
  if (value !== null && (typeof value !== 'object' || Array.isArray(value))) throw mismatch('struct')
  const given = Object.entries((value ?? {}) as Record<string, unknown>)
  return Object.fromEntries(
    Object.entries(type.struct).map(([name, member]) => {
      const found =
        given.find(([key]) => key === name) ?? given.find(([key]) => key.toLowerCase() === name.toLowerCase())
      return [name, into(found?.[1], member, `${path}.${name}`)]
    }),
  )
}

/** `json.Marshal`: members in the struct's order, <, > and & escaped. Leave out what `omitempty` leaves out. */
export const goEncode = (value: unknown): string =>
  JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('>', '\\u003e')
    .replaceAll('&', '\\u0026')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029')

/** A struct without the members that `omitempty` leaves out. */
export const omitEmpty = (members: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(members).filter(
      ([, value]) => value !== undefined && value !== '' && value !== 0 && value !== null,
    ),
  )
