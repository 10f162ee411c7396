// What is measured of each engine's requests over a sliding window: rate, times, and how many are where. Nothing leaks: a request
// counts for one engine and one phase, and whatever ends it takes it out.
import { Window } from './window.ts'

/** Statistics of one engine. Times are seconds; -1: nothing was measured in the window. */
export interface EngineRequests {
  /** Requests a second that arrived. */
  readonly qps: number
  /** From sending a request to its first token. */
  readonly ttft: number
  /** From sending a request to the end of its answer. */
  readonly latency: number
  /** Between the tokens of streams. */
  readonly itl: number
  /** Tokens of an answer. */
  readonly decodingLength: number
  /** Their first token has not come yet. */
  readonly prefill: number
  /** Their answers are under way. */
  readonly decoding: number
  /** Answers that ended well, since the router began. */
  readonly finished: number
}

/** What became of a request. */
export interface Finish {
  /** The whole answer came. */
  readonly isGood: boolean
  /** Seconds between its tokens. */
  readonly interToken?: number
  readonly completionTokens?: number
}

interface Live {
  /** Where it is now: the engine that computes its prompt, then the one that answers. */
  url: string
  readonly answering: string
  readonly sentAt: number
  isDecoding: boolean
}

class Engine {
  readonly arrivals: Window
  readonly firstTokens: Window
  readonly latencies: Window
  readonly gaps: Window
  readonly lengths: Window
  prefill = 0
  decoding = 0
  finished = 0

  constructor(length: number) {
    this.arrivals = new Window(length)
    this.firstTokens = new Window(length)
    this.latencies = new Window(length)
    this.gaps = new Window(length)
    this.lengths = new Window(length)
  }
}

/** Where a request goes. */
export interface Sent {
  /** The engine that answers. */
  readonly url: string
  /** The engine that computes its prompt, where that is another one. */
  readonly prefillUrl?: string
  readonly at: number
}

export class RequestStats {
  readonly #length: number
  readonly #engines = new Map<string, Engine>()
  readonly #live = new Map<string, Live>()

  /** `length`: of the window, ms. */
  constructor(length: number) {
    this.#length = length
  }

  /** A request goes to an engine; a further time: to another one in its place. */
  sent(id: string, { url, prefillUrl = url, at }: Sent): void {
    this.over(id)
    this.#live.set(id, { url: prefillUrl, answering: url, sentAt: at, isDecoding: false })
    const engine = this.#engine(prefillUrl)
    engine.prefill++
    engine.arrivals.add(at)
    if (prefillUrl !== url) this.#engine(url).arrivals.add(at)
  }

  /** When it was sent, epoch ms; undefined: it is nowhere. */
  sentAt(id: string): number | undefined {
    return this.#live.get(id)?.sentAt
  }

  /** Its first token came. */
  first(id: string, at: number): void {
    const live = this.#live.get(id)
    if (!live || live.isDecoding) return
    const engine = this.#engine(live.url)
    engine.prefill--
    engine.firstTokens.add(at, (at - live.sentAt) / 1000)
    live.isDecoding = true
    live.url = live.answering
    this.#engine(live.url).decoding++
  }

  /** Its answer ended; before `over`. */
  ended(id: string, at: number, { isGood, interToken, completionTokens }: Finish): void {
    const live = this.#live.get(id)
    if (!live || !isGood) return
    const engine = this.#engine(live.answering)
    engine.finished++
    engine.latencies.add(at, (at - live.sentAt) / 1000)
    if (interToken !== undefined) engine.gaps.add(at, interToken)
    if (completionTokens !== undefined) engine.lengths.add(at, completionTokens)
  }

  /** It is nowhere any more; harmless when repeated. */
  over(id: string): void {
    const live = this.#live.get(id)
    if (!live) return
    this.#live.delete(id)
    const engine = this.#engine(live.url)
    if (live.isDecoding) engine.decoding--
    else engine.prefill--
  }

  /** Of an engine; null: it never got a request. */
  read(url: string, at: number): EngineRequests | null {
    const engine = this.#engines.get(url)
    if (!engine) return null
    const { arrivals, firstTokens, latencies, gaps, lengths, prefill, decoding, finished } = engine
    return {
      qps: arrivals.count(at) / (this.#length / 1000),
      ttft: firstTokens.mean(at),
      latency: latencies.mean(at),
      itl: gaps.mean(at),
      decodingLength: lengths.mean(at),
      prefill,
      decoding,
      finished,
    }
  }

  /** Forgets engines that are gone and have no request left. */
  keep(urls: ReadonlySet<string>): void {
    for (const [url, { prefill, decoding }] of this.#engines)
      if (!urls.has(url) && prefill + decoding === 0) this.#engines.delete(url)
  }

  #engine(url: string): Engine {
    let engine = this.#engines.get(url)
    if (!engine) this.#engines.set(url, (engine = new Engine(this.#length)))
    return engine
  }
}
