// Appends lines to the file of a recording, in batches; what a slow disk can't take is dropped and told of.
import { appendFileSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import type { LogEvent } from '../../src/host.ts'

/** Lines are gathered for this long, ms, or until they are so many characters. */
const GATHER = 1000
const ENOUGH = 64 * 1024
/** Characters that may wait for the disk. */
const MOST = 8 * 2 ** 20

export interface Recording {
  write(line: string): void
  /** Writes what is still there, at once. */
  close(): void
}

/** Only its owner may read the file: lengths and times tell of people, too. */
export function recordTo(path: string, log: (event: LogEvent) => void): Recording {
  let gathered: string[] = []
  let size = 0
  let isWriting = false
  let dropped = 0
  let timer: NodeJS.Timeout | null = null

  const take = () => {
    const text = gathered.join('')
    gathered = []
    size = 0
    return text
  }
  const flush = async () => {
    if (isWriting || size === 0) return
    isWriting = true
    try {
      await appendFile(path, take(), { mode: 0o600 })
    } catch (error) {
      log({ level: 'error', message: 'The recording cannot be written', file: path, error: String(error) })
    }
    isWriting = false
    if (size >= ENOUGH) await flush()
  }
  return {
    write(line) {
      if (size > MOST) {
        if (dropped++ === 0)
          log({
            level: 'warn',
            message: 'The disk is too slow for the recording: calls are left out',
            file: path,
          })
        return
      }
      gathered.push(`${line}\n`)
      size += line.length + 1
      if (size >= ENOUGH) void flush()
      timer ??= setTimeout(() => {
        timer = null
        void flush()
      }, GATHER).unref()
    },
    close() {
      if (timer) clearTimeout(timer)
      if (size === 0) return
      try {
        appendFileSync(path, take(), { mode: 0o600 })
      } catch (error) {
        log({ level: 'error', message: 'The recording cannot be written', file: path, error: String(error) })
      }
    },
  }
}
