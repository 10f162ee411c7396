// Journeys in another runtime: one child process holds all routers, the engines and the client stay here.
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { accessSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { ConfigInput } from '../../src/config/schema.ts'
import type { Told, Wish } from './_resident.ts'
import type { Dialable } from './_dialled.ts'
import type { Fleet, OpenOptions } from './_rig.ts'
import { listenAll, named, send } from './_sockets.ts'

const ROOT = new URL('../../', import.meta.url)

/** The path of a runtime that was installed as a package. Throws a sentence that says what to do when it was not. */
export function binary(name: string): string {
  const path = fileURLToPath(new URL(`node_modules/.bin/${name}`, ROOT))
  try {
    accessSync(path)
  } catch {
    throw new Error(`${path} is missing: run npm ci (without --omit=dev or --omit=optional)`)
  }
  return path
}

/** A file of the repository. */
export const fileOf = (path: string): string => fileURLToPath(new URL(path, ROOT))

type Asked = Wish extends infer One ? (One extends { id: number } ? Omit<One, 'id'> : never) : never

/** The child process, told what to do over its standard input. */
export class Resident {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (told: Told) => void>()
  #last = 0
  #failure: string | null = null
  /** What failed in the child with nobody to see it. */
  unseen = 0

  /** `args` come before the script. */
  constructor(name: string, args: readonly string[]) {
    this.#child = spawn(binary(name), [...args, fileOf('test/journeys/_resident.ts')], {
      cwd: fileOf('.'),
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#child.once('error', (error) => this.#fail(String(error)))
    this.#child.once('exit', (code, signal) => this.#fail(`${name} ended: ${code ?? signal}`))
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const told = JSON.parse(line) as Told
      this.unseen = told.unseen
      this.#waiting.get(told.id)?.(told)
      this.#waiting.delete(told.id)
    })
    after(() => this.#child.stdin!.end())
  }

  /** Resolves with the answer; rejects when the child failed at it, or died. */
  async ask(wish: Asked): Promise<Told> {
    if (this.#failure !== null) throw new Error(this.#failure)
    const id = ++this.#last
    const told = await new Promise<Told>((resolve) => {
      this.#waiting.set(id, resolve)
      this.#child.stdin!.write(`${JSON.stringify({ ...wish, id })}\n`)
    })
    if (told.error !== undefined) throw new Error(told.error)
    return told
  }

  /** Opens a router for a journey. Stored things go to files of `directory`. */
  async open(
    input: ConfigInput,
    fleet: Fleet,
    { store, directory }: OpenOptions & { readonly directory: string },
  ): Promise<Dialable> {
    const urls = await listenAll(fleet)
    const state = store === undefined ? 'off' : `${directory}/${store}.json`
    const { id: router, url } = await this.ask({ kind: 'open', config: named({ state, ...input }, urls) })
    let draining: Promise<unknown> | null = null
    return {
      at: url!,
      async fetch(request) {
        await draining
        return send(url!, request)
      },
      url: (name) => urls.get(name) ?? name,
      drain: () => {
        draining = this.ask({ kind: 'drain', router })
      },
      reload: async (next) => {
        const config = named({ workers: Object.keys(fleet), ...next }, urls)
        await this.ask({ kind: 'reload', router, config })
      },
      close: async () => {
        await this.ask({ kind: 'close', router })
        assert.equal(this.unseen, 0, 'something failed unseen')
      },
    }
  }

  #fail(failure: string): void {
    this.#failure = failure
    for (const [id, resolve] of this.#waiting) resolve({ id, error: failure, unseen: 0 })
    this.#waiting.clear()
  }
}
