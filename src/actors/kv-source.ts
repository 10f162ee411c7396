// Follows one publisher of KV events: what was missed is asked for again, and an engine that begins anew is noticed.
import type { KvSourceSpec } from '../engines/kv-sources.ts'
import { decodeBatch, type KvBatch } from '../prefix/kv-batch.ts'
import { readSequence, Sequence, sequenceBytes } from '../prefix/kv-sequence.ts'
import { parseEndpoint } from '../zmtp/address.ts'
import { ask } from '../zmtp/dealer.ts'
import { reasonOf, Subscriber } from '../zmtp/subscriber.ts'
import type { Clock, Sockets } from '../zmtp/wire.ts'

/** What comes while missed batches are asked for waits; more than so many bytes, and they are given up. */
const MOST_WAITING = 64 * 1024 * 1024
/** Silence after which a replay is given up, ms. */
const PATIENCE = 5000
/** A publisher may be gone for so long before that is told, ms. */
const ABSENCE = 10_000

/** What a source tells. */
export interface SourceHearer {
  /** The next batch. */
  batch(batch: KvBatch): void
  /** The engine began anew: whatever it held is gone. */
  restarted(): void
  /** Batches are missing for good: nobody knows what it holds. */
  lost(reason: string): void
  up(): void
  /** No publisher for longer than a moment. */
  down(reason: string): void
  /** A batch that can't be read. */
  broken(reason: string): void
}

interface Numbered {
  readonly seq: number
  readonly payload: Uint8Array
}

export class KvSource {
  readonly spec: KvSourceSpec
  readonly #sockets: Sockets
  readonly #clock: Clock
  readonly #hearer: SourceHearer
  readonly #subscriber: Subscriber
  readonly #sequence = new Sequence()
  readonly #abort = new AbortController()
  /** What came while a replay goes on; null: none does. */
  #waiting: Numbered[] | null = null
  #waitingBytes = 0
  #cancelAbsence = () => {}

  constructor(spec: KvSourceSpec, on: { sockets: Sockets; clock: Clock }, hearer: SourceHearer) {
    this.spec = spec
    this.#sockets = on.sockets
    this.#clock = on.clock
    this.#hearer = hearer
    this.#subscriber = new Subscriber({
      ...on,
      address: parseEndpoint(spec.endpoint),
      isBound: spec.isBound,
      topics: [spec.topic],
      hearer: {
        message: (parts) => this.#message(parts),
        up: () => this.#up(),
        down: (reason) => this.#down(reason),
      },
    })
  }

  /** Resolves when it was closed; never rejects. */
  start(): Promise<void> {
    return this.#subscriber.start()
  }

  close(): void {
    this.#cancelAbsence()
    this.#abort.abort()
    this.#subscriber.close()
  }

  #up(): void {
    this.#cancelAbsence()
    this.#hearer.up()
    // From the last one that is known: an engine that does not have it any more is another one.
    if (this.spec.replay !== null && this.#waiting === null)
      void this.#replay(Math.max(0, this.#sequence.last), this.#sequence.hasBegun)
  }

  #down(reason: string): void {
    this.#cancelAbsence()
    this.#cancelAbsence = this.#clock.timer(ABSENCE, () => this.#hearer.down(reason))
  }

  /** Topic, number, batch. */
  #message(parts: readonly Uint8Array[]): void {
    const seq = readSequence(parts.at(-2))
    const payload = parts.at(-1)
    if (seq === null || seq < 0 || !payload || parts.length < 2)
      return this.#hearer.broken(`a message of ${parts.length} parts without a number`)
    if (this.#waiting === null) return this.#take({ seq, payload })
    this.#waiting.push({ seq, payload })
    this.#waitingBytes += payload.length
    if (this.#waitingBytes > MOST_WAITING) this.#resume('too many events while missed ones were asked for')
  }

  #take(one: Numbered, isAgain = false): void {
    const step = this.#sequence.judge(one.seq, isAgain)
    if (step === 'old') return
    if (step === 'restart') {
      this.#sequence.last = -1
      this.#hearer.restarted()
      return this.#take(one)
    }
    if (step === 'gap' && !isAgain && this.spec.replay !== null) {
      this.#waiting = [one]
      return void this.#replay(this.#sequence.last + 1, false)
    }
    if (step === 'gap' && this.#sequence.hasBegun)
      this.#hearer.lost(`${one.seq - this.#sequence.last - 1} batches are missing`)
    this.#sequence.last = one.seq
    this.#apply(one.payload)
  }

  #apply(payload: Uint8Array): void {
    let batch: KvBatch
    try {
      batch = decodeBatch(payload)
    } catch (error) {
      this.#hearer.broken(reasonOf(error))
      return
    }
    this.#hearer.batch(batch)
  }

  /** `mustHave`: an answer without any batch means that the engine began anew. */
  async #replay(from: number, mustHave: boolean): Promise<void> {
    this.#waiting ??= []
    let count = 0
    let failure: string | null = null
    try {
      const address = parseEndpoint(this.spec.replay as string)
      const question = [sequenceBytes(from)]
      const { signal } = this.#abort
      const options = {
        sockets: this.#sockets,
        clock: this.#clock,
        address,
        question,
        patience: PATIENCE,
        signal,
      }
      for await (const parts of ask(options)) {
        const seq = readSequence(parts.at(-2))
        // Given up, or the end.
        if (this.#waiting === null || seq === -1) break
        const payload = parts.at(-1)
        if (seq === null || !payload) continue
        count++
        this.#take({ seq, payload }, true)
      }
    } catch (error) {
      failure = reasonOf(error)
    }
    if (signalled(this.#abort) || this.#waiting === null) return
    if (failure === null && count === 0 && mustHave) {
      this.#sequence.last = -1
      this.#hearer.restarted()
    }
    this.#resume(failure && `missed events can't be had: ${failure}`)
  }

  /** Goes on with what waited. What the replay had already is old; what is missing still is lost. */
  #resume(reason: string | null): void {
    const waiting = this.#waiting ?? []
    this.#waiting = null
    this.#waitingBytes = 0
    const first = waiting[0]
    if (reason !== null && first && this.#sequence.hasBegun && first.seq > this.#sequence.last + 1) {
      this.#hearer.lost(reason)
      this.#sequence.last = first.seq - 1
    }
    for (const one of waiting) this.#take(one, true)
  }
}

const signalled = ({ signal }: AbortController): boolean => signal.aborted
