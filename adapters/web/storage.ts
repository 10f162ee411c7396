// Where actors of Deno and Bun keep what they store: a file as on Node, or a key-value store of the runtime.
import type { Storage } from '../../src/actors/actor.ts'
import { SharedWorkers } from '../../src/actors/shared-workers.ts'
import type { Config } from '../../src/config/schema.ts'
import type { LogEvent } from '../../src/host.ts'
import { fileStorage, stateFile, stateFormat } from '../node/disk.ts'

/** The state file of a process, shared by its actors; asked once per actor name. */
export function filesOf(config: Config, log: (event: LogEvent) => void): (name: string) => Storage {
  const disk = fileStorage(stateFile(config), log, stateFormat(config))
  return (name) => ({
    ...(disk.keepsModels && { keepsModels: true }),
    get: (key) => disk.get(`${name}/${key}`),
    put: (key, value) => disk.put(`${name}/${key}`, value),
    delete: (key) => disk.delete(`${name}/${key}`),
  })
}

type KeyPart = string | number

/** The part of Deno KV that is used here. */
export interface KeyValueStore {
  get(key: KeyPart[]): Promise<{ versionstamp: string | null }>
  list(selector: { prefix: KeyPart[] }): AsyncIterable<{ key: readonly unknown[]; value: unknown }>
  atomic(): KeyValueChange
}

interface KeyValueChange {
  set(key: KeyPart[], value: unknown): KeyValueChange
  delete(key: KeyPart[]): KeyValueChange
  commit(): Promise<unknown>
}

/** A value of Deno KV holds 64 KiB; a character takes up to three bytes. */
const PIECE = 20_000

/**
 * Storage in a key-value store under `prefix`: values are JSON, cut into pieces that are replaced together. Rejects when
 * the store can't be opened or written.
 */
export function keyValueStorage(store: Promise<KeyValueStore>, prefix: readonly string[]): Storage {
  const piecesOf = async (key: string) => {
    const pieces: string[] = []
    for await (const { value } of (await store).list({ prefix: [...prefix, key] })) pieces.push(String(value))
    return pieces
  }
  const replace = async (key: string, text: string) => {
    const before = (await piecesOf(key)).length
    const change = (await store).atomic()
    const count = Math.ceil(text.length / PIECE)
    for (let i = 0; i < count; i++) change.set([...prefix, key, i], text.slice(i * PIECE, (i + 1) * PIECE))
    for (let i = count; i < before; i++) change.delete([...prefix, key, i])
    await change.commit()
  }
  // All pieces are written with each value.
  const versionOf = async (key: string) => (await (await store).get([...prefix, key, 0])).versionstamp ?? ''
  return {
    get: async (key) => {
      const pieces = await piecesOf(key)
      return pieces.length === 0 ? undefined : (JSON.parse(pieces.join('')) as never)
    },
    put: (key, value) => replace(key, JSON.stringify(value)),
    delete: (key) => replace(key, ''),
    share: (state, changed) => new SharedWorkers(state, changed, versionOf),
  }
}
