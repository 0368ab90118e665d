export interface TarFile {
  /** Relative, with `/`; at most 100 bytes of UTF-8. */
  path: string
  content: string | Uint8Array
  /** Permission bits; 0644 unless given. */
  mode?: number
}

const BLOCK_BYTES = 512
const NAME_BYTES = 100 // the ustar name field; sample paths need no prefix field

/** A ustar archive of the files in their order, parent directories added, owned by root, dated 1970: equal input, equal bytes. */
export function tarArchive(files: readonly TarFile[]): Buffer {
  const parts: Buffer[] = []
  const directories = new Set<string>()
  for (const { path, content, mode = 0o644 } of files) {
    for (const directory of parentsOf(path)) {
      if (directories.has(directory)) continue
      directories.add(directory)
      parts.push(header(directory, 0, 0o755, '5'))
    }
    const bytes = Buffer.from(content as Uint8Array)
    const padding = Buffer.alloc((BLOCK_BYTES - (bytes.length % BLOCK_BYTES)) % BLOCK_BYTES)
    parts.push(header(path, bytes.length, mode, '0'), bytes, padding)
  }
  parts.push(Buffer.alloc(2 * BLOCK_BYTES))
  return Buffer.concat(parts)
}

function parentsOf(path: string): string[] {
  const segments = path.split('/').slice(0, -1)
  return segments.map((_, index) => `${segments.slice(0, index + 1).join('/')}/`)
}

function header(name: string, size: number, mode: number, type: '0' | '5'): Buffer {
  if (Buffer.byteLength(name) > NAME_BYTES) throw new Error(`path too long for ustar: ${name}`)
  const block = Buffer.alloc(BLOCK_BYTES)
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`
  block.write(name, 0)
  block.write(octal(mode, 7), 100)
  block.write(octal(0, 7), 108)
  block.write(octal(0, 7), 116)
  block.write(octal(size, 11), 124)
  block.write(octal(0, 11), 136)
  block.write('        ', 148)
  block.write(type, 156)
  block.write('ustar\x0000', 257)
  block.write('root', 265)
  block.write('root', 297)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}
