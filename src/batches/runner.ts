// Runs the lines of batches: so many at a time, slower while the workers are busy, each until it has an answer that is kept.
import type { RefusalValue } from '../actors/ask.ts'
import type { Host } from '../host.ts'
import { isRetryable } from '../openai/errors.ts'
import type { BatchStatus } from './batch.ts'
import { MAX_ANSWER, type Active, type Book, type Line } from './book.ts'
import type { Files } from './files.ts'
import { bodyOf, parse } from './jsonl.ts'
import { checkInput } from './input.ts'

/** A line on its way through the router. */
export interface LineCall {
  /** Who made the batch. */
  readonly owner: string
  readonly endpoint: string
  /** JSON. */
  readonly body: Uint8Array
  /** Longest answer that is wanted, bytes. */
  readonly limit: number
  readonly signal: AbortSignal
}

export interface LineAnswer {
  readonly status: number
  readonly requestId: string
  /** Seconds, from Retry-After; 0: not told. */
  readonly retryAfter: number
  readonly body: Uint8Array
}

/** Sends a line through the router as a client's call would go. Rejects when it was aborted, or its answer broke or is too long. */
export type RunLine = (line: LineCall) => Promise<LineAnswer>

export interface RunnerParts {
  readonly book: Book
  readonly files: Files
  readonly host: Pick<Host, 'now' | 'random' | 'timer' | 'after' | 'log'>
  readonly run: RunLine
  /** Lines under way at once, of all batches. */
  readonly concurrency: number
  readonly maxLines: number
}

/** A batch whose lines are going out. */
interface Work {
  readonly batch: Active
  readonly endpoint: string
  /** Lines up to this one went out. */
  cursor: number
  /** Lines that go out once more, with the attempts that they had. */
  readonly again: Line[]
  readonly attempts: Map<number, number>
  readonly running: Map<number, AbortController>
  delay: number
  pausedUntil: number
}

/** Pauses while workers are busy, ms. */
const FIRST_PAUSE = 250
const MAX_PAUSE = 30_000
/** A line that fails in the same way so often is answered by that failure. Busy workers are waited for as long as the batch lasts. */
const ATTEMPTS = 3
const BUSY: readonly number[] = [429, 503, 529]
/** Lines that are closed in one go. */
const CLOSED = 200

export class Runner {
  readonly #parts: RunnerParts
  readonly #works = new Map<number, Work>()
  /** Batches that are being closed. */
  readonly #closing = new Set<number>()
  #running = 0
  #isResting = false

  constructor(parts: RunnerParts) {
    this.#parts = parts
  }

  /** Goes on with a batch in whatever state it is. */
  go(batch: Active): void {
    const { book, host } = this.#parts
    const work = async () => {
      if (batch.status === 'validating') await this.#validate(batch)
      else if (batch.status === 'cancelling') await this.#close(batch, 'cancelled')
      else this.#add(batch, book.now(batch.seq).endpoint)
    }
    host.after(work())
  }

  /** Stops a batch's lines that are under way, and gives those that are open an error in place of an answer. */
  async cancel(batch: Active, status: 'cancelled' | 'expired'): Promise<void> {
    this.#abort(batch.seq)
    await this.#close(batch, status)
  }

  /** No further line goes out. */
  rest(): void {
    this.#isResting = true
  }

  /** Ends the lines that are under way; they are sent again by the next runner. */
  stop(): void {
    this.rest()
    for (const seq of this.#works.keys()) this.#abort(seq)
  }

  /** Sends out what there is room for. */
  pump(): void {
    while (!this.#isResting && this.#running < this.#parts.concurrency) {
      const work = this.#next()
      if (!work) return
      const line = work.again.pop() ?? this.#parts.book.open(work.batch.seq, work.cursor, 1)[0]
      if (line) this.#start(work, line)
      else this.#finish(work)
    }
  }

  async #validate(batch: Active): Promise<void> {
    const { book } = this.#parts
    const goesOn = async () => {
      await this.#breathe()
      return !this.#isResting && book.now(batch.seq).status === 'validating'
    }
    const errors = await checkInput(this.#parts, batch, goesOn)
    // Cancelled at the last moment, or before.
    if (errors === null || book.now(batch.seq).status !== 'validating') return
    if (errors.length > 0) return book.end(batch, 'failed', { errors: { object: 'list', data: errors } })
    book.begin(batch.seq)
    this.#add(batch, book.now(batch.seq).endpoint)
  }

  #add(batch: Active, endpoint: string): void {
    const fresh = { cursor: 0, again: [], attempts: new Map(), running: new Map(), delay: 0, pausedUntil: 0 }
    this.#works.set(batch.seq, { batch, endpoint, ...fresh })
    this.pump()
  }

  /** Of the batches that have something to do, the one with the least under way. */
  #next(): Work | null {
    const now = this.#parts.host.now()
    let best: Work | null = null
    for (const work of this.#works.values())
      if (work.pausedUntil <= now && !isAtEnd(work) && !(best && best.running.size <= work.running.size))
        best = work
    return best
  }

  /** All lines went out. Those under way call again. */
  #finish(work: Work): void {
    const { book, host } = this.#parts
    work.cursor = Infinity
    if (work.running.size > 0) return
    this.#works.delete(work.batch.seq)
    book.turn(work.batch.seq, 'finalizing')
    host.after(this.#breathe().then(() => this.#isResting || book.end(work.batch, 'completed')))
  }

  #start(work: Work, line: Line): void {
    const { host } = this.#parts
    work.cursor = Math.max(work.cursor, line.n)
    const abort = new AbortController()
    work.running.set(line.n, abort)
    this.#running++
    host.after(
      this.#run(work, line, abort.signal).finally(() => {
        this.#running--
        work.running.delete(line.n)
        if (isAtEnd(work) && this.#works.has(work.batch.seq) && !this.#isResting) this.#finish(work)
        this.pump()
      }),
    )
  }

  async #run(work: Work, line: Line, signal: AbortSignal): Promise<void> {
    const { files, book, run } = this.#parts
    const { batch, endpoint } = work
    const body = bodyOf(files.slice(batch.input, line.start, line.length))
    const call = { owner: batch.owner, endpoint, body, limit: MAX_ANSWER, signal }
    const answer = await run(call).catch((error: unknown) => brokenOff(error))
    if (signal.aborted) return
    if (this.#mayTryAgain(work, line, answer)) return void work.again.push(line)
    work.delay = 0
    work.attempts.delete(line.n)
    const isGood = answer.status < 400
    book.store(batch, [{ n: line.n, isGood, bytes: written(this.#idOf(batch, line), line.custom, answer) }])
  }

  /** Whether the answer is none to keep; the batch pauses then. */
  #mayTryAgain(work: Work, { n }: Line, { status, retryAfter }: LineAnswer): boolean {
    if (!isRetryable(status)) return false
    const attempts = (work.attempts.get(n) ?? 0) + 1
    work.attempts.set(n, attempts)
    if (!BUSY.includes(status) && attempts >= ATTEMPTS) return false
    const { host } = this.#parts
    const now = host.now()
    // Of several that failed together the first one counts.
    if (now >= work.pausedUntil) work.delay = Math.min(MAX_PAUSE, Math.max(FIRST_PAUSE, work.delay * 2))
    const pause = Math.max(work.delay * (0.8 + 0.4 * host.random()), Math.min(retryAfter * 1000, MAX_PAUSE))
    work.pausedUntil = Math.max(work.pausedUntil, now + pause)
    // Timers may ring a little early.
    host.timer(work.pausedUntil - now + 5, () => this.pump())
    return true
  }

  async #close(batch: Active, status: Extract<BatchStatus, 'cancelled' | 'expired'>): Promise<void> {
    const { book } = this.#parts
    const error = ENDINGS[status]
    if (this.#closing.has(batch.seq)) return
    this.#closing.add(batch.seq)
    for (let after = 0; ;) {
      if (this.#isResting) return
      const lines = book.open(batch.seq, after, CLOSED)
      if (lines.length === 0) break
      after = lines.at(-1)!.n
      const entry = (line: Line) => unanswered(this.#idOf(batch, line), line.custom, error)
      book.store(
        batch,
        lines.map((line) => ({ n: line.n, isGood: false, bytes: entry(line) })),
      )
      await this.#breathe()
    }
    book.end(batch, status)
  }

  #abort(seq: number): void {
    const work = this.#works.get(seq)
    this.#works.delete(seq)
    for (const abort of work?.running.values() ?? []) abort.abort()
  }

  #idOf = ({ id }: Active, { n }: Line): string => `batch_req_${id.slice('batch_'.length)}_${n}`

  /** Lets others have a turn. */
  #breathe(): Promise<void> {
    return new Promise((resolve) => this.#parts.host.timer(0, () => resolve()))
  }
}

const isAtEnd = ({ cursor, again }: Work): boolean => cursor === Infinity && again.length === 0

const ENDINGS = {
  cancelled: {
    code: 'batch_cancelled',
    message: 'The batch was cancelled before this request was answered.',
  },
  expired: {
    code: 'batch_expired',
    message: 'This request could not be executed before the completion window expired.',
  },
} as const

/** Stands for an answer that there is none of. */
function brokenOff(error: unknown): LineAnswer {
  const { message, code, status } = error as Partial<RefusalValue>
  const body = {
    error: { message: message ?? String(error), type: 'server_error', param: null, code: code ?? null },
  }
  return { status: status ?? 502, requestId: '', retryAfter: 0, body: encoder.encode(JSON.stringify(body)) }
}

const encoder = new TextEncoder()

/** A line of the output. The engine's JSON stays as it came, but for line breaks, which would end the line. */
function written(id: string, custom: string, { status, requestId, body }: LineAnswer): Uint8Array {
  const text = new TextDecoder().decode(body).trim()
  const json = parse(body) === undefined ? JSON.stringify(text) : text.replace(/[\r\n]+/g, ' ')
  const response = `{"status_code":${status},"request_id":${JSON.stringify(requestId)},"body":${json}}`
  return encoder.encode(
    `{"id":"${id}","custom_id":${JSON.stringify(custom)},"response":${response},"error":null}\n`,
  )
}

const unanswered = (id: string, custom: string, error: { code: string; message: string }): Uint8Array =>
  encoder.encode(`${JSON.stringify({ id, custom_id: custom, response: null, error })}\n`)
