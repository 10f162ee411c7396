// Passes an event stream on: its first token starts other clocks, and a death inside it is told as an error event.
import { UpstreamFailure, type Host, type Pieces, type Watch } from '../host.ts'
import type { StreamWatch } from '../openai/stream-watch.ts'
import { createStreamWatch } from '../openai/watch.ts'
import type { Ending, Passage } from './closing.ts'
import type { Listener } from './deadline.ts'

const encoder = new TextEncoder()
const EMPTY = new Uint8Array(0)

export class StreamRelay implements Watch, Listener {
  lastAt = 0
  readonly #passage: Passage
  readonly #host: Host
  readonly #stream: StreamWatch
  readonly #needsAll: boolean
  #isUnseen = false

  /** `stripUsage`: the router asked for the usage event, the client did not. */
  constructor(passage: Passage, stripUsage: boolean) {
    this.#passage = passage
    const { core, passing } = passage
    this.#host = core.host
    const isBooked = (passing.allowance?.tokensPerMinute ?? 0) > 0
    this.#needsAll = core.config.usage === 'all' || stripUsage || isBooked
    const onFirstToken = (at: number) => this.#began(at)
    this.#stream = createStreamWatch({
      shape: passing.shape,
      stripUsage,
      now: () => core.host.now(),
      onFirstToken,
    })
  }

  chunk(bytes: Uint8Array): Uint8Array | null {
    this.lastAt = this.#host.now()
    return this.#stream.chunk(bytes)
  }

  pass(pieces: Pieces): boolean {
    if (!this.#stream.pass(pieces)) return false
    this.lastAt = this.#host.now()
    return true
  }

  /** After the first token, where nobody counts. How the unseen rest ended is told by its connection alone. */
  mayPassUnseen(): boolean {
    if (this.#needsAll || this.#stream.firstTokenAt === null) return false
    this.#isUnseen = true
    this.#passage.started.deadline.passUnseen()
    return true
  }

  end(): Uint8Array | null {
    if (this.#isUnseen) {
      this.#finish({ outcome: 'ok', usage: null })
      return null
    }
    const rest = this.#stream.end()
    const { isFinished, isFailed } = this.#stream
    if (!isFinished && !isFailed) {
      return joined(
        rest,
        this.#broke(new UpstreamFailure('reset', 'The stream ended before it was finished.')),
      )
    }
    const { core, passing } = this.#passage
    const usage = this.#stream.usage()
    if (usage === null && core.config.usage === 'all') core.instruments.usageMissed.with(passing.shape).add()
    this.#finish({ outcome: isFailed ? 'upstream_error' : 'ok', usage: usage ?? this.#usage() })
    return rest
  }

  fail(given: UpstreamFailure): Uint8Array | null {
    // All of it came before the connection broke: what is missing is only the end of the framing.
    if (this.#passage.passing.shape !== 'other' && this.#stream.isFinished) return this.end() ?? EMPTY
    const failure = this.#passage.started.broken() ?? given
    if (failure.kind !== 'aborted') return this.#broke(failure)
    this.leave()
    return null
  }

  leave(): void {
    this.#finish({ outcome: 'left', usage: this.#usage() })
  }

  #began(at: number): void {
    const { core, passing, started, load, life } = this.#passage
    const { id, model, worker, sentAt } = passing
    life.isDecoding = true
    started.deadline.began(at, this)
    started.partner?.began()
    core.recorder?.first(id, at)
    core.surface?.follow?.({ kind: 'first', id, at }, core)
    const note = { id, kind: 'first', after: at - sentAt } as const
    core.notes.add(load === null ? note : { ...note, load })
    const state = this.#stream.responseId
    // The response can be asked for while it still streams.
    if (state !== null) core.notes.add({ id, kind: 'state', state })
    core.instruments.firstToken.with(model, worker).observe((at - sentAt) / 1000)
  }

  /** Ends the call as broken; returns the event that tells the client. */
  #broke(failure: UpstreamFailure): Uint8Array {
    const isTimeout = failure.kind.endsWith('_timeout')
    const code = isTimeout ? failure.kind : 'worker_died'
    const message = isTimeout ? failure.message : 'The worker broke off before its answer was complete.'
    const text = this.#stream.errorText({ message, code, status: isTimeout ? 504 : 502 })
    this.#finish({ outcome: isTimeout ? 'timeout' : 'truncated', usage: this.#usage(), failure })
    // It may have broken inside an event; a blank line more does no harm.
    return encoder.encode(this.#isUnseen ? `\n\n${text}` : text)
  }

  #usage() {
    return this.#isUnseen ? null : this.#stream.usageOrEstimate(this.#passage.passing.tokens)
  }

  #finish(ending: Ending): void {
    const { core, passing, started } = this.#passage
    const { firstTokenAt, tokens, responseId } = this.#stream
    started.deadline.stop()
    this.#stream.close()
    if (firstTokenAt === null || tokens < 2 || this.#isUnseen) {
      this.#passage.close({ ...ending, state: responseId, firstTokenAt })
      return
    }
    const interToken = (this.lastAt - firstTokenAt) / 1000 / (tokens - 1)
    core.instruments.interToken.with(passing.model, passing.worker).observe(interToken)
    this.#passage.close({ ...ending, state: responseId, firstTokenAt, interToken })
  }
}

function joined(first: Uint8Array | null, second: Uint8Array): Uint8Array {
  if (first === null) return second
  const bytes = new Uint8Array(first.length + second.length)
  bytes.set(first)
  bytes.set(second, first.length)
  return bytes
}
