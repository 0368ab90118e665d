import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'

/** Processes whose command line or environment contains `text`, as `pid command`, without this one. */
export function processesNaming(text: string): string[] {
  return everyProcess()
    .filter(({ pid, words }) => pid !== process.pid && words.includes(text))
    .map(({ pid, words }) => `${pid} ${words.slice(0, 200)}`)
}

function everyProcess(): { pid: number; words: string }[] {
  if (!existsSync('/proc/self/cmdline')) {
    const lines = execFileSync('ps', ['axeww', '-o', 'pid=,command='], { encoding: 'utf8' }).split('\n')
    return lines.map((line) => ({ pid: Number.parseInt(line, 10), words: line }))
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => ({ pid: Number(pid), words: wordsOf(pid, 'cmdline') + wordsOf(pid, 'environ') }))
}

/** Empty for a process that has just ended, or is another user's. */
function wordsOf(pid: string, file: 'cmdline' | 'environ'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
