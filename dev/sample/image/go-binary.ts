/** What a Go program says about its own build. Versions as Go writes them (`go1.21.4`, `v0.7.0`). */
interface GoBuild {
  goVersion: string
  main: { path: string; version: string }
  dependencies: readonly { path: string; version: string }[]
  architecture: 'amd64' | 'arm64'
}

const MACHINE = { amd64: 62, arm64: 183 } as const // EM_X86_64, EM_AARCH64
const ELF_HEADER_BYTES = 64
const PROGRAM_HEADER_BYTES = 56
const SECTION_HEADER_BYTES = 64
const LOAD_ADDRESS = 0x400000
const BUILD_INFO_OFFSET = 128 // behind both headers; the reader wants it aligned to 16
const BUILD_INFO_MAGIC = Buffer.from('\xff Go buildinf:', 'latin1')
const INLINE_STRINGS = 2 // since Go 1.18: both strings follow the header
// The marks around the module text, which Go's linker writes and its reader strips without looking at them.
const MODULES_START = Buffer.from('3077af0c9274080241e1c107e6d618e6', 'hex')
const MODULES_END = Buffer.from('f932433186182072008242104116d8f2', 'hex')

/**
 * An ELF file that holds nothing but Go build information: `debug/buildinfo` reads it as it reads a compiled program, it
 * needs no compiler, and it cannot be run. Equal builds give equal bytes.
 */
export function goBinary(build: GoBuild): Buffer {
  const buildInfo = buildInfoSection(build)
  const names = Buffer.from('\0.go.buildinfo\0.shstrtab\0')
  const namesOffset = BUILD_INFO_OFFSET + buildInfo.length
  const headersOffset = Math.ceil((namesOffset + names.length) / 8) * 8
  const padding = Buffer.alloc(headersOffset - namesOffset - names.length)
  return Buffer.concat([
    elfHeader(build.architecture, headersOffset),
    programHeader(buildInfo.length),
    buildInfo,
    names,
    padding,
    Buffer.alloc(SECTION_HEADER_BYTES),
    sectionHeader({
      name: 1,
      type: 1,
      flags: 3,
      address: LOAD_ADDRESS,
      offset: BUILD_INFO_OFFSET,
      size: buildInfo.length,
      align: 16,
    }),
    sectionHeader({
      name: 15,
      type: 3,
      flags: 0,
      address: 0,
      offset: namesOffset,
      size: names.length,
      align: 1,
    }),
  ])
}

function buildInfoSection(build: GoBuild): Buffer {
  const header = Buffer.alloc(32)
  BUILD_INFO_MAGIC.copy(header)
  header.writeUInt8(8, 14) // pointer size; unused with inline strings
  header.writeUInt8(INLINE_STRINGS, 15)
  const lines = [
    `path\t${build.main.path}`,
    `mod\t${build.main.path}\t${build.main.version}\t`,
    ...build.dependencies.map(({ path, version }) => `dep\t${path}\t${version}`),
    'build\t-compiler=gc',
    'build\tCGO_ENABLED=0',
    `build\tGOARCH=${build.architecture}`,
    'build\tGOOS=linux',
  ]
  const modules = Buffer.concat([MODULES_START, Buffer.from(`${lines.join('\n')}\n`), MODULES_END])
  const content = Buffer.concat([header, prefixed(Buffer.from(build.goVersion)), prefixed(modules)])
  return Buffer.concat([content, Buffer.alloc((16 - (content.length % 16)) % 16)])
}

/** The bytes behind their length as an unsigned varint. */
function prefixed(bytes: Buffer): Buffer {
  const length: number[] = []
  for (let rest = bytes.length; ; rest >>>= 7) {
    length.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest)
    if (rest <= 0x7f) break
  }
  return Buffer.concat([Buffer.from(length), bytes])
}

function elfHeader(architecture: GoBuild['architecture'], headersOffset: number): Buffer {
  const header = Buffer.alloc(ELF_HEADER_BYTES)
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]) // 64 bit, little endian, version 1
  header.writeUInt16LE(2, 16) // ET_EXEC
  header.writeUInt16LE(MACHINE[architecture], 18)
  header.writeUInt32LE(1, 20)
  header.writeBigUInt64LE(BigInt(ELF_HEADER_BYTES), 32) // where the program header is
  header.writeBigUInt64LE(BigInt(headersOffset), 40)
  header.writeUInt16LE(ELF_HEADER_BYTES, 52)
  header.writeUInt16LE(PROGRAM_HEADER_BYTES, 54)
  header.writeUInt16LE(1, 56)
  header.writeUInt16LE(SECTION_HEADER_BYTES, 58)
  header.writeUInt16LE(3, 60)
  header.writeUInt16LE(2, 62) // the section that names the sections
  return header
}

/** The one segment, which maps the build information: readers follow addresses through it. */
function programHeader(size: number): Buffer {
  const header = Buffer.alloc(BUILD_INFO_OFFSET - ELF_HEADER_BYTES)
  header.writeUInt32LE(1, 0) // PT_LOAD
  header.writeUInt32LE(6, 4) // readable and writable
  header.writeBigUInt64LE(BigInt(BUILD_INFO_OFFSET), 8)
  header.writeBigUInt64LE(BigInt(LOAD_ADDRESS), 16)
  header.writeBigUInt64LE(BigInt(LOAD_ADDRESS), 24)
  header.writeBigUInt64LE(BigInt(size), 32)
  header.writeBigUInt64LE(BigInt(size), 40)
  header.writeBigUInt64LE(16n, 48)
  return header
}

interface SectionHeader {
  name: number
  type: number
  flags: number
  address: number
  offset: number
  size: number
  align: number
}

function sectionHeader(section: SectionHeader): Buffer {
  const header = Buffer.alloc(SECTION_HEADER_BYTES)
  header.writeUInt32LE(section.name, 0)
  header.writeUInt32LE(section.type, 4)
  header.writeBigUInt64LE(BigInt(section.flags), 8)
  header.writeBigUInt64LE(BigInt(section.address), 16)
  header.writeBigUInt64LE(BigInt(section.offset), 24)
  header.writeBigUInt64LE(BigInt(section.size), 32)
  header.writeBigUInt64LE(BigInt(section.align), 48)
  return header
}
