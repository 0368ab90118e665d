import { crc32 } from 'node:zlib'

const VERSION_NEEDED = 20
const DATE_1980_01_01 = 0x21 // the earliest date the format knows

/** A zip (or jar) of uncompressed members in their order, dated 1980: equal input, equal bytes. */
export function zipArchive(files: readonly { path: string; content: string | Uint8Array }[]): Buffer {
  const members: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { path, content } of files) {
    const name = Buffer.from(path)
    const bytes = Buffer.from(content as Uint8Array)
    const common = commonHeader(name, bytes)
    const member = Buffer.concat([Buffer.from('PK\x03\x04'), common, name, bytes])
    const position = Buffer.alloc(14)
    position.writeUInt32LE(offset, 10)
    directory.push(Buffer.from('PK\x01\x02'), Buffer.from([VERSION_NEEDED, 0]), common, position, name)
    members.push(member)
    offset += member.length
  }
  const central = Buffer.concat(directory)
  return Buffer.concat([...members, central, endRecord(files.length, central.length, offset)])
}

function commonHeader(name: Buffer, bytes: Buffer): Buffer {
  const header = Buffer.alloc(26)
  header.writeUInt16LE(VERSION_NEEDED, 0)
  header.writeUInt16LE(DATE_1980_01_01, 8)
  header.writeUInt32LE(crc32(bytes), 10)
  header.writeUInt32LE(bytes.length, 14)
  header.writeUInt32LE(bytes.length, 18)
  header.writeUInt16LE(name.length, 22)
  return header
}

function endRecord(count: number, directoryBytes: number, directoryOffset: number): Buffer {
  const record = Buffer.alloc(22)
  record.write('PK\x05\x06', 0, 'latin1')
  record.writeUInt16LE(count, 8)
  record.writeUInt16LE(count, 10)
  record.writeUInt32LE(directoryBytes, 12)
  record.writeUInt32LE(directoryOffset, 16)
  return record
}
