/** A bbolt bucket: keys to values (text) or nested buckets. */
export interface BoltBucket extends Map<string, string | BoltBucket> {}

const PAGE_BYTES = 4096 // the page size bbolt itself takes on Linux; written into the meta pages
const PAGE_HEADER_BYTES = 16
const ELEMENT_BYTES = 16 // both a branch's and a leaf's element header
const INLINE_LIMIT_BYTES = PAGE_BYTES / 4 // bbolt's own limit for a bucket that lives inside its parent's value
const FIRST_DATA_PAGE = 3 // after two meta pages and the free list
const FLAG = { branch: 1, leaf: 2, meta: 4, freelist: 16 } as const
const MAGIC = 0xed0cdaed
const FORMAT_VERSION = 2

interface LeafItem {
  key: Buffer
  value: Buffer
  isBucket: boolean
}
interface BranchItem {
  key: Buffer
  pageId: number
}

/**
 * A bbolt file (Bolt format 2) that holds the given top-level buckets. The same content always gives the same bytes:
 * keys are in byte order, pages follow each other without free space, and no time or random value is in it.
 */
export function writeBolt(root: ReadonlyMap<string, BoltBucket>): Buffer {
  const pages = new PageFile()
  const items = inKeyOrder(root).map(({ key, value }) => ({
    key,
    value: bucketValue(pages, value),
    isBucket: true,
  }))
  const rootPage = writeLeaves(pages, items)
  const freelist = Buffer.alloc(PAGE_BYTES)
  freelist.writeBigUInt64LE(2n, 0)
  freelist.writeUInt16LE(FLAG.freelist, 8)
  const metas = [0, 1].map((transaction) => metaPage(transaction, rootPage, pages.next))
  return Buffer.concat([...metas, freelist, ...pages.written])
}

class PageFile {
  next = FIRST_DATA_PAGE
  written: Buffer[] = []

  /** Appends a page, with as many overflow pages as it needs, and returns its id. */
  append(body: Buffer): number {
    const count = Math.ceil(body.length / PAGE_BYTES)
    const id = this.next
    const page = Buffer.alloc(count * PAGE_BYTES)
    body.copy(page)
    page.writeBigUInt64LE(BigInt(id), 0)
    page.writeUInt32LE(count - 1, 12)
    this.next += count
    this.written.push(page)
    return id
  }
}

/** Entries in byte order of their keys, which is the order of the format and decides where each page goes. */
function inKeyOrder<T>(bucket: ReadonlyMap<string, T>): { key: Buffer; value: T }[] {
  return [...bucket]
    .map(([key, value]) => ({ key: Buffer.from(key), value }))
    .sort((a, b) => Buffer.compare(a.key, b.key))
}

/** A bucket as its parent stores it: root page and sequence, followed by its only page where it is small and flat. */
function bucketValue(pages: PageFile, bucket: BoltBucket): Buffer {
  const items: LeafItem[] = inKeyOrder(bucket).map(({ key, value }) =>
    typeof value === 'string'
      ? { key, value: Buffer.from(value), isBucket: false }
      : { key, value: bucketValue(pages, value), isBucket: true },
  )
  const header = Buffer.alloc(16)
  const inline = leafPage(items)
  if (inline.length <= INLINE_LIMIT_BYTES && !items.some((item) => item.isBucket)) {
    return Buffer.concat([header, inline])
  }
  header.writeBigUInt64LE(BigInt(writeLeaves(pages, items)), 0)
  return header
}

function writeLeaves(pages: PageFile, items: LeafItem[]): number {
  const groups = groupByPage(items, (item) => item.key.length + item.value.length)
  const children = groups.map((group) => ({ key: firstKey(group), pageId: pages.append(leafPage(group)) }))
  return writeBranches(pages, children)
}

/** Stacks branch pages over the children until one page is the root; returns that page's id. */
function writeBranches(pages: PageFile, children: BranchItem[]): number {
  let level = children
  while (level.length > 1) {
    level = groupByPage(level, (item) => item.key.length).map((group) => ({
      key: firstKey(group),
      pageId: pages.append(branchPage(group)),
    }))
  }
  return level[0]!.pageId
}

const firstKey = (group: readonly { key: Buffer }[]) => group[0]?.key ?? Buffer.alloc(0)

/** Cuts items into pages of at least two items each (bbolt's minimum); an empty list is one empty page. */
function groupByPage<T>(items: readonly T[], dataBytes: (item: T) => number): T[][] {
  const groups: T[][] = [[]]
  let size = PAGE_HEADER_BYTES
  for (const item of items) {
    const bytes = ELEMENT_BYTES + dataBytes(item)
    if (groups.at(-1)!.length >= 2 && size + bytes > PAGE_BYTES) {
      groups.push([])
      size = PAGE_HEADER_BYTES
    }
    groups.at(-1)!.push(item)
    size += bytes
  }
  if (groups.length > 1 && groups.at(-1)!.length === 1 && groups.at(-2)!.length > 2) {
    groups.at(-1)!.unshift(groups.at(-2)!.pop()!)
  }
  return groups
}

function pageBody(flag: number, count: number, data: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(PAGE_HEADER_BYTES + ELEMENT_BYTES * count)
  head.writeUInt16LE(flag, 8)
  head.writeUInt16LE(count, 10)
  return Buffer.concat([head, ...data])
}

function leafPage(items: readonly LeafItem[]): Buffer {
  const data = items.flatMap(({ key, value }) => [key, value])
  const page = pageBody(FLAG.leaf, items.length, data)
  let position = PAGE_HEADER_BYTES + ELEMENT_BYTES * items.length
  items.forEach(({ key, value, isBucket }, index) => {
    const element = PAGE_HEADER_BYTES + ELEMENT_BYTES * index
    page.writeUInt32LE(isBucket ? 1 : 0, element)
    page.writeUInt32LE(position - element, element + 4)
    page.writeUInt32LE(key.length, element + 8)
    page.writeUInt32LE(value.length, element + 12)
    position += key.length + value.length
  })
  return page
}

function branchPage(items: readonly BranchItem[]): Buffer {
  const data = items.map(({ key }) => key)
  const page = pageBody(FLAG.branch, items.length, data)
  let position = PAGE_HEADER_BYTES + ELEMENT_BYTES * items.length
  items.forEach(({ key, pageId }, index) => {
    const element = PAGE_HEADER_BYTES + ELEMENT_BYTES * index
    page.writeUInt32LE(position - element, element)
    page.writeUInt32LE(key.length, element + 4)
    page.writeBigUInt64LE(BigInt(pageId), element + 8)
    position += key.length
  })
  return page
}

function metaPage(transaction: number, rootPage: number, highWaterMark: number): Buffer {
  const page = Buffer.alloc(PAGE_BYTES)
  page.writeBigUInt64LE(BigInt(transaction), 0)
  page.writeUInt16LE(FLAG.meta, 8)
  page.writeUInt32LE(MAGIC, 16)
  page.writeUInt32LE(FORMAT_VERSION, 20)
  page.writeUInt32LE(PAGE_BYTES, 24)
  page.writeBigUInt64LE(BigInt(rootPage), 32)
  page.writeBigUInt64LE(2n, 48) // the free list's page
  page.writeBigUInt64LE(BigInt(highWaterMark), 56)
  page.writeBigUInt64LE(BigInt(transaction), 64)
  page.writeBigUInt64LE(fnv1a64(page.subarray(16, 72)), 72)
  return page
}

function fnv1a64(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  return hash
}
