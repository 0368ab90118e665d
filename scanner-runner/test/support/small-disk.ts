import { execFile } from 'node:child_process'
import { mkdir, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { aDirectory } from './directory.ts'

const run = promisify(execFile)

/** A file system of so many bytes and files, gone when the test is over. Null where this user may not mount one. */
export async function aSmallDisk(bytes: number, files = 1000): Promise<string | null> {
  const directory = join(await aDirectory(), 'disk')
  await mkdir(directory)
  const options = `size=${bytes},nr_inodes=${files}`
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory]).then(
    () => true,
    () => false,
  )
  if (!mounted) return null
  onTestFinished(() => run('umount', ['-l', directory]).then(() => {}))
  return directory
}

/** Takes every file that the disk still has room for, so that not even a directory can be made. */
export async function useUpFiles(disk: string): Promise<void> {
  const { ffree } = await statfs(disk)
  for (let file = 0; file < ffree; file++) await writeFile(join(disk, `filler-${file}`), '')
}
