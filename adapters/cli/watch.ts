// Looks at files while the router runs, and tells when one has other contents.
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

/** How often, ms. */
const INTERVAL = 10_000
/** Contents that stay for so long are whole, ms. */
const SETTLE = 100

/**
 * Calls `changed` whenever a file has other contents than before (or is there, or is not). By looking, not by events of the file
 * system: those of mounted volumes never come. The first look is what the later ones are compared with.
 * @returns ends it
 */
export function watchFiles(
  names: readonly string[],
  changed: () => void,
  { directory, interval = INTERVAL }: { readonly directory: string; readonly interval?: number },
): () => void {
  const read = () =>
    Promise.all(names.map((name) => readFile(resolve(directory, name), 'utf8').catch(() => null)))
  let last = read().then((texts) => JSON.stringify(texts))
  const timer = setInterval(() => {
    last = last.then(async (before) => {
      const now = JSON.stringify(await read())
      if (now === before) return before
      // It may be being written.
      await wait(Math.min(SETTLE, interval))
      if (JSON.stringify(await read()) !== now) return before
      changed()
      return now
    })
  }, interval)
  timer.unref()
  return () => clearInterval(timer)
}
