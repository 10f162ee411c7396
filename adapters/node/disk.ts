// Storage of actors in one JSON file, always written as a whole: a crash leaves either the old or the new one.
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Storage } from '../../src/actors/actor.ts'
import { memoryStorage } from '../../src/actors/local.ts'
import type { Config } from '../../src/config/schema.ts'
import { readNodeFile, writeNodeFile } from '../../src/dialects/nodes/node-file.ts'
import type { LogEvent } from '../../src/host.ts'

/**
 * Where a router keeps the workers added by its API: as configured, else a file for its port in the working directory. Undefined:
 * nowhere. Throws for a store of Deno.
 */
export function stateFile({
  state,
  port,
  socket,
}: Pick<Config, 'state' | 'port' | 'socket'>): string | undefined {
  if (state?.startsWith('kv:')) throw new Error(`state ${state} needs Deno with --unstable-kv`)
  if (state !== undefined) return state === 'off' ? undefined : state
  if (socket !== undefined) return `${socket}.state.json`
  // A port that is another one each time has no past to remember.
  return port > 0 ? join('.fetchway', `${port}.json`) : undefined
}

/** How values stand in a file. */
export interface FileFormat {
  /** Throws for what is no such file. */
  read(parsed: unknown): Map<string, unknown>
  write(values: ReadonlyMap<string, unknown>): object
  readonly keepsModels?: boolean
}

const OWN: FileFormat = {
  read(parsed) {
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
      return new Map(Object.entries(parsed))
    throw new TypeError('it holds no object')
  },
  write: (values) => Object.fromEntries(values),
}

const NODES: FileFormat = { read: readNodeFile, write: writeNodeFile, keepsModels: true }

/** The format of the state file as configured. */
export const stateFormat = (config: Pick<Config, 'stateFormat'>): FileFormat =>
  config.stateFormat === 'nodes' ? NODES : OWN

/**
 * Storage kept in the file at `path`; without a path it forgets with the process. Values are JSON. A file that can't be
 * parsed is moved aside (`path.corrupt`) with a warning, and one that can't be read or written is told of: neither stops the router.
 */
export function fileStorage(
  path: string | undefined,
  log: (event: LogEvent) => void,
  format: FileFormat = OWN,
): Storage {
  if (path === undefined) return memoryStorage()
  let loaded: Promise<Map<string, unknown>> | null = null
  let writing: Promise<void> | null = null
  let isDirty = false

  const values = () => (loaded ??= load(path, log, format))
  const save = async () => {
    while (isDirty) {
      isDirty = false
      await replaceFile(path, JSON.stringify(format.write(await values()), null, 2))
    }
  }
  /** Changes made while a write runs share the next one; each waits until it is on disk. */
  const changed = async () => {
    isDirty = true
    writing ??= save().finally(() => (writing = null))
    await writing
  }
  return {
    ...(format.keepsModels && { keepsModels: true }),
    get: async (key) => structuredClone((await values()).get(key)),
    put: async (key, value) => {
      ;(await values()).set(key, structuredClone(value))
      await changed()
    },
    delete: async (key) => {
      if ((await values()).delete(key)) await changed()
    },
  }
}

async function load(
  path: string,
  log: (event: LogEvent) => void,
  format: FileFormat,
): Promise<Map<string, unknown>> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const isNew = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    if (!isNew)
      log({
        level: 'error',
        message: 'The state file cannot be read; starting without it',
        file: path,
        error: String(error),
      })
    return new Map()
  }
  try {
    return format.read(JSON.parse(text))
  } catch (error) {
    const aside = `${path}.corrupt`
    await rename(path, aside).catch(() => undefined) // a directory that can't be written is told of at the next put
    log({
      level: 'warn',
      message: 'The state file is broken and was moved aside',
      file: path,
      moved_to: aside,
      error: String(error),
    })
    return new Map()
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const draft = `${path}.${process.pid}.tmp`
  // It may hold keys of workers.
  const file = await open(draft, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, path)
}
