// Modules and files for what an operator puts around calls; Deno and Bun have them in the same way.
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Extend } from '../../src/extensions/extension.ts'
import type { Lent } from '../../src/extensions/extend.ts'
import type { Exports } from '../../src/extensions/hooks.ts'

/** What Node lends. */
export const lent: Lent = {
  async load(path) {
    const file = resolve(process.cwd(), path)
    if (!existsSync(file)) throw new Error(`${path} can't be loaded: there is no file ${file}`)
    try {
      return (await import(pathToFileURL(file).href)) as Exports
    } catch (error) {
      throw new Error(`${path} can't be loaded: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      })
    }
  },
  files: {
    read: (path) => readFile(path, 'utf8').catch(() => null),
    async write(path, text) {
      await mkdir(dirname(path), { recursive: true })
      // Whoever reads it meets the old one or the new one.
      const beside = `${path}.${process.pid}.tmp`
      await writeFile(beside, text, { mode: 0o600 })
      await rename(beside, path)
    },
  },
}

/** Loaded with the first configuration that asks for any of it. */
export const extendHere: Extend = async (config, core) => {
  const { callbacks, requestRewriter, providers, semanticCache, lmcache } = config
  const isWanted = callbacks || requestRewriter || providers.length > 0 || semanticCache || lmcache
  // What was there before is ended there, too.
  if (!isWanted && core.extensions === null) return null
  const { extend } = await import('../../src/extensions/extend.ts')
  return extend(config, core, lent)
}
