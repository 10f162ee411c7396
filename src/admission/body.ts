// Reads request bodies: inside a limit each, inside a budget together, and not slower than a minimum rate.
import { join } from '../openai/bytes.ts'
import { Refusal } from '../openai/errors.ts'
import type { Host, Tally } from '../host.ts'

/** Bytes of request bodies held in memory at once. */
export class BodyBudget {
  limit: number
  readonly #tally: Tally

  /** `tally`: where those that share the budget count together. */
  constructor(limit: number, tally: Tally = localTally()) {
    this.limit = limit
    this.#tally = tally
  }

  /** Bytes held now. */
  get used(): number {
    return this.#tally.total
  }

  /** Reserves before reading. Throws 413 when it could never fit, 429 when it does not fit now. */
  reserve(bytes: number): void {
    if (bytes > this.limit) throw tooLarge(this.limit)
    // First counted, then looked at: of two threads that take the last room at once, none may go unseen.
    this.#tally.add(bytes)
    if (this.used > this.limit) {
      this.#tally.add(-bytes)
      throw new Refusal(
        429,
        'buffers_full',
        'Too many request bytes are held in memory at once: try again in a second.',
        1,
      )
    }
  }

  release(bytes: number): void {
    this.#tally.add(-bytes)
  }
}

function localTally(): Tally {
  const tally = {
    total: 0,
    add(amount: number) {
      tally.total += amount
    },
  }
  return tally
}

export interface BodyRules {
  /** 0: no limit. */
  readonly maxBody: number
  /** Bytes a second; 0: none. */
  readonly minUploadRate: number
}

/** A body in memory. `release` gives its bytes back to the budget, once. */
export interface HeldBody {
  readonly bytes: Uint8Array
  readonly release: () => void
}

/** A request whose runtime tells how much of the body has come, so that `bytes()` can be watched. */
interface CountedRequest extends Request {
  readonly received?: number
  /** The whole body where it is here already; null: it has to be waited for. */
  atHand?(): Uint8Array | null
}

/** The rate is looked at this often, ms. */
const RATE_WINDOW = 10_000
const EMPTY: Uint8Array = new Uint8Array(0)
const ZERO = 0x30

const tooLarge = (limit: number) =>
  new Refusal(
    413,
    'body_too_large',
    `The request body is larger than the ${limit} bytes allowed here (--max-body).`,
  )

/** Content-Length as a number, or null when the body comes without one. */
export function lengthOf(headers: Headers): number | null {
  const text = headers.get('content-length')
  if (text === null || text === '') return null
  let length = 0
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - ZERO
    if (digit < 0 || digit > 9) return null
    length = length * 10 + digit
  }
  return length
}

/** Throws 413 for a body that is announced larger than allowed. */
export function checkSize(length: number, rules: Pick<BodyRules, 'maxBody'>): void {
  if (rules.maxBody > 0 && length > rules.maxBody) throw tooLarge(rules.maxBody)
}

/** A body of announced length that came together with its head, without a promise; null: it has to be read. Throws 413 or 429. */
export function takeBody(request: CountedRequest, budget: BodyBudget, rules: BodyRules): HeldBody | null {
  if (request.atHand === undefined) return null
  const length = lengthOf(request.headers)
  if (length === null || length === 0 || request.received !== length) return null
  const held = new Holding(budget, length, rules)
  const bytes = request.atHand()
  if (bytes === null) {
    held.release()
    return null
  }
  held.bytes = bytes
  return held
}

/** Reads the whole body. Throws 413, 429, 408 (too slow) or 400 (it broke off). */
export async function readBody(
  request: CountedRequest,
  budget: BodyBudget,
  rules: BodyRules,
  host: Pick<Host, 'timer'>,
): Promise<HeldBody> {
  const length = lengthOf(request.headers)
  if (length === 0 || (length === null && request.body === null)) return { bytes: EMPTY, release() {} }
  const held = new Holding(budget, length, rules)
  try {
    if (length === null || request.received === undefined) {
      const needsNoCount = length !== null && isShort(length, rules)
      held.bytes = await (needsNoCount
        ? inTime(request.bytes(), UNKNOWN, rules, host)
        : readStream(request, rules, host, held))
      checkSize(held.bytes.length, rules)
      return held
    }
    const reading = request.bytes()
    // What came together with its head is here a turn later, and needs no clock.
    if (request.received !== length) await Promise.resolve()
    held.bytes = await (request.received === length ? reading : counted(request, reading, rules, host))
    return held
  } catch (error) {
    held.release()
    throw broken(error)
  }
}

/** Reserved bytes of the budget, and what fills them. */
class Holding implements HeldBody {
  bytes = EMPTY
  readonly #budget: BodyBudget
  /** Announced: nothing more is reserved while it comes. */
  readonly #isSized: boolean
  #reserved: number
  #isReleased = false

  constructor(budget: BodyBudget, length: number | null, rules: BodyRules) {
    checkSize(length ?? 0, rules)
    budget.reserve(length ?? 0)
    this.#budget = budget
    this.#isSized = length !== null
    this.#reserved = length ?? 0
  }

  grow(bytes: number): void {
    if (this.#isSized) return
    this.#budget.reserve(bytes)
    this.#reserved += bytes
  }

  readonly release = (): void => {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#budget.release(this.#reserved)
  }
}

/** Whether a body is too slow just where it is not whole after the first window: then nobody need know how much of it has come. */
const isShort = (length: number, { minUploadRate }: BodyRules): boolean =>
  minUploadRate === 0 || length < leastOf(minUploadRate)

const UNKNOWN = { received: () => 0 }

/** Bytes that must come in a window. */
const leastOf = (rate: number): number => (rate * RATE_WINDOW) / 1000

const broken = (error: unknown): Refusal =>
  error instanceof Refusal
    ? error
    : new Refusal(400, 'body_broken', 'The request body ended before it was complete.')

function counted(
  request: CountedRequest,
  reading: Promise<Uint8Array>,
  rules: BodyRules,
  host: Pick<Host, 'timer'>,
): Promise<Uint8Array> {
  return inTime(reading, { received: () => request.received ?? 0 }, rules, host)
}

async function readStream(
  request: Request,
  rules: BodyRules,
  host: Pick<Host, 'timer'>,
  held: Holding,
): Promise<Uint8Array> {
  const reader = (request.body as ReadableStream<Uint8Array>).getReader()
  const chunks: Uint8Array[] = []
  let size = 0
  const read = async () => {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return join(chunks)
      size += value.length
      checkSize(size, rules)
      held.grow(value.length)
      chunks.push(value)
    }
  }
  try {
    return await inTime(read(), { received: () => size }, rules, host)
  } catch (error) {
    // What else comes is not wanted; that the cancel fails too is of no interest.
    reader.cancel().catch(() => {})
    throw error
  }
}

/** Waits for the bytes; rejects when fewer of them come than the minimum rate over a window. */
export function inTime<T>(
  work: Promise<T>,
  progress: { received(): number },
  rules: BodyRules,
  host: Pick<Host, 'timer'>,
): Promise<T> {
  if (rules.minUploadRate === 0) return work
  return new Promise((resolve, reject) => {
    let before = progress.received()
    let cancel = host.timer(RATE_WINDOW, check)
    function check() {
      const received = progress.received()
      if (received - before < leastOf(rules.minUploadRate)) {
        const rate = `${rules.minUploadRate} bytes a second`
        reject(
          new Refusal(
            408,
            'upload_too_slow',
            `The request body came in slower than ${rate} (--min-upload-rate).`,
          ),
        )
        return
      }
      before = received
      cancel = host.timer(RATE_WINDOW, check)
    }
    // In place of `finally`, which makes two promises and three closures.
    void work.then(resolve, reject).then(() => cancel())
  })
}
