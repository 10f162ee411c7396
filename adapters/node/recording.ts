// Appends lines to the file of a recording, in batches; what a slow disk can't take is dropped and told of.
import { appendFile } from 'node:fs/promises'
import type { LogEvent, Recording } from '../../src/host.ts'
import { HEADING } from '../../src/replay/recorder.ts'

/** Lines are gathered for this long, ms, or until they are so many characters. */
const GATHER = 1000
const ENOUGH = 64 * 1024
/** Characters that may wait for the disk. */
const MOST = 8 * 2 ** 20

export interface FileRecording extends Recording {
  /** Resolves when all that was written is in the file, or can't be. */
  close(): Promise<void>
}

/** Begins a recording behind what the file has. Only its owner may read it: lengths and times tell of people, too. */
export function recordTo(path: string, log: (event: LogEvent) => void): FileRecording {
  let gathered: string[] = []
  let size = 0
  let isDropping = false
  let writing: Promise<void> | null = null
  let timer: NodeJS.Timeout | null = null

  const flush = (): Promise<void> => (writing ??= writeAll().finally(() => (writing = null)))
  const writeAll = async () => {
    while (size > 0) {
      const text = gathered.join('')
      gathered = []
      size = 0
      try {
        await appendFile(path, text, { mode: 0o600 })
      } catch (error) {
        log({ level: 'error', message: 'The recording cannot be written', file: path, error: String(error) })
      }
    }
  }
  const write = (line: string) => {
    if (size > MOST) {
      if (!isDropping)
        log({
          level: 'warn',
          message: 'The disk is too slow for the recording: calls are left out',
          file: path,
        })
      isDropping = true
      return
    }
    gathered.push(`${line}\n`)
    size += line.length + 1
    if (size >= ENOUGH) void flush()
    timer ??= setTimeout(() => {
      timer = null
      void flush()
    }, GATHER).unref()
  }
  write(JSON.stringify(HEADING))
  return {
    salt: crypto.getRandomValues(new Uint32Array(4)),
    write,
    async close() {
      if (timer) clearTimeout(timer)
      await flush()
    },
  }
}
