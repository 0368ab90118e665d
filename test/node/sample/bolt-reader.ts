/** A bbolt bucket as read back; the writer's counterpart, by the format's description and not by the writer's code. */
export interface ReadBucket extends Map<string, string | ReadBucket> {}

const LEAF = 2
const BRANCH = 1

/** Reads a whole bbolt file by its first meta page. Throws where a page is not what its parent says. */
export function readBolt(file: Buffer): ReadBucket {
  const pageBytes = file.readUInt32LE(24)
  if (file.readUInt32LE(16) !== 0xed0cdaed || file.readUInt32LE(20) !== 2) throw new Error('not a bolt file')
  if (file.length !== Number(file.readBigUInt64LE(56)) * pageBytes)
    throw new Error('high-water mark and size differ')
  return readTree(file, pageBytes, Number(file.readBigUInt64LE(32)))
}

function readTree(file: Buffer, pageBytes: number, pageId: number): ReadBucket {
  const page = file.subarray(pageId * pageBytes)
  if (Number(page.readBigUInt64LE(0)) !== pageId) throw new Error(`page ${pageId} has another id`)
  if (page.readUInt16LE(8) === LEAF) return readLeaf(file, pageBytes, page)
  if (page.readUInt16LE(8) !== BRANCH) throw new Error(`page ${pageId} is neither branch nor leaf`)
  const bucket: ReadBucket = new Map()
  for (let index = 0; index < page.readUInt16LE(10); index++) {
    const element = 16 + 16 * index
    const start = element + page.readUInt32LE(element)
    const key = page.toString('utf8', start, start + page.readUInt32LE(element + 4))
    const child = readTree(file, pageBytes, Number(page.readBigUInt64LE(element + 8)))
    if (child.keys().next().value !== key) throw new Error('a branch key is not its first leaf key')
    for (const [name, value] of child) bucket.set(name, value)
  }
  return bucket
}

function readLeaf(file: Buffer, pageBytes: number, page: Buffer): ReadBucket {
  const bucket: ReadBucket = new Map()
  for (let index = 0; index < page.readUInt16LE(10); index++) {
    const element = 16 + 16 * index
    const keyStart = element + page.readUInt32LE(element + 4)
    const valueStart = keyStart + page.readUInt32LE(element + 8)
    const value = page.subarray(valueStart, valueStart + page.readUInt32LE(element + 12))
    const key = page.toString('utf8', keyStart, valueStart)
    bucket.set(key, page.readUInt32LE(element) === 1 ? readBucket(file, pageBytes, value) : value.toString())
  }
  return bucket
}

function readBucket(file: Buffer, pageBytes: number, value: Buffer): ReadBucket {
  const root = Number(value.readBigUInt64LE(0))
  return root === 0 ? readLeaf(file, pageBytes, value.subarray(16)) : readTree(file, pageBytes, root)
}
