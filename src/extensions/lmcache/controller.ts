// An LMCache controller: its workers tell what they hold, and calls go where most of their prompt is.
import type { Core } from '../../core.ts'
import { Router } from '../../zmtp/binding.ts'
import { Puller } from '../../zmtp/puller.ts'
import type { Sockets } from '../../zmtp/wire.ts'
import type { LmcacheSpec } from '../../config/extending.ts'
import { chunksOf } from './chunks.ts'
import { Holdings, type Instance } from './holdings.ts'
import { readMessage, type LmcacheMessage } from './messages.ts'
import { encodeReply } from './replies.ts'

const ANYWHERE = '0.0.0.0'
/** Silent workers are looked for this often, ms. */
const LOOK = 1000

/** Where the parts of a controller came to listen. */
export interface Doors {
  readonly pull: number
  readonly reply: number | null
}

export class LmcacheController {
  readonly #core: Core
  readonly #holdings = new Holdings()
  readonly #doors: { close(): void }[] = []
  #isClosed = false

  constructor(core: Core) {
    this.#core = core
  }

  /** Listens. A port that is taken is told, and workers that push there are heard by whoever has it. */
  async open(rules: LmcacheSpec, sockets: Sockets, host = ANYWHERE): Promise<Doors> {
    const { host: clock, host: logs } = this.#core
    const onError = (error: unknown) =>
      logs.log({ level: 'debug', message: 'an LMCache worker broke off', error: String(error) })
    const at = (port: number) => ({ sockets, clock, address: { host, port }, onError })
    const puller = await Puller.bind({ ...at(rules.port), onMessage: (parts) => this.#hear(parts) })
    this.#doors.push(puller)
    const replies: number[] = []
    for (const port of [rules.replyPort, rules.heartbeatPort]) {
      if (port === undefined) continue
      const router: Router = await Router.bind({
        ...at(port),
        onMessage: (from, parts) => void router.send(from, this.#answer(parts)),
      })
      this.#doors.push(router)
      replies.push(router.port)
    }
    this.#look(rules.workerTimeout)
    return { pull: puller.port, reply: replies[0] ?? null }
  }

  close(): void {
    this.#isClosed = true
    for (const door of this.#doors) door.close()
  }

  /** Whether any worker has told of a chunk: only then is it worth to count a prompt's tokens. */
  get isEmpty(): boolean {
    return this.#holdings.isEmpty
  }

  /** The instances that hold most of a prompt, and how many of its tokens. */
  lookUp(tokens: readonly number[]): { readonly instances: readonly Instance[]; readonly matched: number } {
    const found = this.#holdings.longest(chunksOf(tokens))
    return { instances: found.map(({ instance }) => instance), matched: found[0]?.tokens ?? 0 }
  }

  #look(patience: number): void {
    const { host } = this.#core
    host.timer(LOOK, () => {
      if (this.#isClosed) return
      this.#look(patience)
      this.#holdings.expire(host.now(), patience)
    })
  }

  /** Each part is a message of its own. */
  #hear(parts: readonly Uint8Array[]): void {
    for (const part of parts) {
      const message = readMessage(part)
      if (message) this.#take(message)
    }
  }

  #take(message: LmcacheMessage): void {
    const known = this.#holdings.instances.length
    this.#holdings.take(message, this.#core.host.now())
    if (this.#holdings.instances.length > known)
      this.#core.host.log({ level: 'info', message: `LMCache instance ${message.instance} told of itself` })
  }

  /** What a worker is told that asks; its question comes behind an empty part. */
  #answer(parts: readonly Uint8Array[]): readonly Uint8Array[] {
    const message = readMessage(parts.at(-1) ?? new Uint8Array(0))
    return [...parts.slice(0, -1), encodeReply(this.#replyTo(message))]
  }

  #replyTo(message: LmcacheMessage | null): Parameters<typeof encodeReply>[0] {
    if (message === null) return { type: 'ErrorMsg', error: 'this controller does not know such a message' }
    if (message.kind === 'lookup') {
      const found = this.#holdings.inRow(message.keys, message.instance)
      const layout = found ? [[found.instance.name, found.location, found.count, '']] : []
      return { type: 'BatchedP2PLookupRetMsg', layout_info: layout }
    }
    this.#take(message)
    if (message.kind === 'register') return { type: 'RegisterRetMsg', extra_config: {} }
    return { type: 'HeartbeatRetMsg', commands: [] }
  }
}
