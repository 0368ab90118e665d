import { crc32 } from 'node:zlib'

const MAX_STORED_BYTES = 0xffff // the length field of a stored deflate block
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])

/** A gzip stream of uncompressed blocks: the same bytes on every machine, which zlib's compressors do not promise. */
export function storedGzip(content: Uint8Array): Buffer {
  const parts: Buffer[] = [HEADER]
  for (let start = 0; start === 0 || start < content.length; start += MAX_STORED_BYTES) {
    const block = content.subarray(start, start + MAX_STORED_BYTES)
    const head = Buffer.alloc(5)
    head.writeUInt8(start + MAX_STORED_BYTES >= content.length ? 1 : 0, 0)
    head.writeUInt16LE(block.length, 1)
    head.writeUInt16LE(block.length ^ 0xffff, 3)
    parts.push(head, Buffer.from(block))
  }
  const trailer = Buffer.alloc(8)
  trailer.writeUInt32LE(crc32(content), 0)
  trailer.writeUInt32LE(content.length % 2 ** 32, 4)
  return Buffer.concat([...parts, trailer])
}
