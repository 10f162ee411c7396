// How busy the engines say they are: a pool asks its workers in turn, never many at once, and only while somebody uses the answers.
import type { ReportedLoad } from '../actors/ask.ts'
import type { Seat } from '../actors/seat.ts'
import { engineOf, type AskWorker, type EngineLoad } from '../engines/engine.ts'
import type { Host } from '../host.ts'
import { askWorker } from './ask.ts'

export interface LoadRules {
  /** Milliseconds between two questions to a busy worker; 0: nobody is asked. */
  readonly interval: number
  /** Milliseconds that an answer may take. */
  readonly timeout: number
  /** The policy decides by it. */
  readonly isUsed: boolean
  /** Asked whatever the policy, and whether calls come or not. */
  readonly isAlways: boolean
}

/** Steps of an interval that questions fall on: the alarm rings no more often. */
const STEPS = 8
/** Questions at once, or an eighth of the workers where that is more. */
const AT_ONCE = 8
/** Idle workers are asked so many times more rarely. */
const IDLE_FACTOR = 5
/** But not more rarely than this, ms: what is older than 15 s counts no more. */
const IDLE_MOST = 12_000
/** The longest time between questions to a worker that does not answer them, ms. */
const BACK_OFF_MOST = 60_000
/** Without a call for so long, nobody uses the answers, ms. */
const QUIET = 60_000
/** Failures in a row after which somebody should know. */
const SILENT_AFTER = 3
/** Multiples of it, modulo 1, lie evenly however many there are. */
const GOLDEN = (Math.sqrt(5) - 1) / 2

type Seams = Pick<Host, 'fetch' | 'timer' | 'now' | 'random' | 'log'>

export class LoadPoller {
  readonly #seams: Seams
  /** Share of its interval at which each worker's turn comes. */
  readonly #turns = new WeakMap<Seat, number>()
  /** Other routers with the same workers ask at other times. */
  #nextTurn: number
  #asking = 0
  #ranAt = -Infinity
  #usedAt: number

  constructor(seams: Seams) {
    this.#seams = seams
    this.#nextTurn = seams.random()
    this.#usedAt = seams.now()
  }

  /** A call came. True when it is the first after a quiet time: `dueAt` has changed. */
  used(now: number): boolean {
    const wasQuiet = now - this.#usedAt > QUIET
    this.#usedAt = now
    return wasQuiet
  }

  /** When the next worker is to be asked (epoch ms, maybe past); Infinity: none as things are. */
  dueAt(seats: Iterable<Seat>, rules: LoadRules): number {
    let next = Infinity
    if (this.#isWanted(rules)) for (const seat of seats) next = Math.min(next, this.#dueOf(seat, rules))
    return Math.max(next, this.#ranAt + rules.interval / STEPS)
  }

  /** Takes those whose turn has come, the most overdue first, as many as may be asked at once. `ask` must follow. */
  take(seats: ReadonlyMap<string, Seat>, rules: LoadRules): Seat[] {
    const now = this.#seams.now()
    if (!this.#isWanted(rules) || this.dueAt(seats.values(), rules) > now) return []
    const due = [...seats.values()]
      .map((seat) => ({ seat, at: this.#dueOf(seat, rules) }))
      .filter(({ at }) => at <= now)
      .sort((a, b) => a.at - b.at)
    const room = Math.max(AT_ONCE, Math.ceil(seats.size / STEPS)) - this.#asking
    const taken = due.slice(0, Math.max(0, room)).map(({ seat }) => seat)
    for (const seat of taken) seat.loadAskedAt = now
    this.#ranAt = now
    this.#asking += taken.length
    return taken
  }

  /** Asks the workers that were taken and writes what they tell into their seats. Never throws. */
  async ask(taken: readonly Seat[], rules: LoadRules): Promise<void> {
    await Promise.all(taken.map((seat) => this.#askOne(seat, rules.timeout)))
  }

  async #askOne(seat: Seat, timeout: number): Promise<void> {
    const load = await readLoad(this.#seams, seat, timeout)
    this.#asking--
    if (load) this.#told(seat, load)
    else this.#failed(seat)
  }

  #told(seat: Seat, load: EngineLoad): void {
    seat.report(reportOf(seat, load, this.#seams.now()))
    if (seat.loadFailures >= SILENT_AFTER) this.#say('info', seat, 'tells its load again')
    seat.loadFailures = 0
  }

  #failed(seat: Seat): void {
    seat.loadsMissed++
    if (++seat.loadFailures === SILENT_AFTER)
      this.#say('warn', seat, 'does not tell its load: only the calls of this router count there')
  }

  #say(level: 'info' | 'warn', seat: Seat, what: string): void {
    this.#seams.log({ level, message: `worker ${seat.url} ${what}`, worker: seat.id })
  }

  #isWanted({ interval, isUsed, isAlways }: LoadRules): boolean {
    return interval > 0 && (isAlways || (isUsed && this.#seams.now() - this.#usedAt <= QUIET))
  }

  /** A new worker is asked at once; the others at their step of each interval, so that they stay apart. */
  #dueOf(seat: Seat, { interval }: LoadRules): number {
    if (seat.isDown || seat.member.draining || engineOf(seat.engine) === null) return Infinity
    if (seat.loadAskedAt === 0) return 0
    const period = periodOf(seat, interval)
    const step = interval / STEPS
    const phase = Math.floor((this.#turnOf(seat) * period) / step) * step
    const next = phase + (Math.floor((seat.loadAskedAt - phase) / period) + 1) * period
    // Its turn came late, or its interval has changed.
    return next - seat.loadAskedAt < period / 2 ? next + period : next
  }

  #turnOf(seat: Seat): number {
    let turn = this.#turns.get(seat)
    if (turn === undefined) {
      this.#turns.set(seat, (turn = this.#nextTurn))
      this.#nextTurn = (turn + GOLDEN) % 1
    }
    return turn
  }
}

/** Milliseconds from one question to the next: short while it has work, long while it has none, longer with each failure. */
function periodOf(seat: Seat, interval: number): number {
  const { reported, inFlight, loadFailures } = seat
  const isBusy = inFlight > 0 || (reported !== null && reported.running + reported.waiting > 0)
  const period = isBusy ? interval : Math.max(interval, Math.min(interval * IDLE_FACTOR, IDLE_MOST))
  return loadFailures === 0
    ? period
    : Math.max(period, Math.min(interval * 2 ** Math.min(loadFailures, 10), BACK_OFF_MOST))
}

async function readLoad(
  host: Pick<Host, 'fetch' | 'timer'>,
  { member }: Seat,
  timeout: number,
): Promise<EngineLoad | null> {
  const ask: AskWorker = async (method, path) => {
    const asked = await askWorker(host, member.ref, { method, path, timeout })
    return asked.status === 0 ? null : (asked as Exclude<typeof asked, { readonly status: 0 }>)
  }
  const { loadPath, kvCapacityTokens } = member
  const facts = { ...(loadPath && { loadPath }), ...(kvCapacityTokens && { kvCapacityTokens }) }
  try {
    return (await engineOf(member.ref.engine)?.load(ask, facts)) ?? null
  } catch {
    return null // an answer that nobody thought of
  }
}

/** What an engine told, in the pool's words: -1 stands for what it did not tell. Tokens follow from the usage where the capacity is known. */
export function reportOf(seat: Seat, load: Partial<EngineLoad>, at: number): ReportedLoad {
  const capacity = load.kvCapacityTokens ?? seat.capacityTokens
  const share = load.kvUsage ?? (capacity > 0 && load.kvTokens !== undefined ? load.kvTokens / capacity : -1)
  const used = load.kvTokens ?? (capacity > 0 && share >= 0 ? Math.round(share * capacity) : -1)
  return {
    running: load.running ?? -1,
    waiting: load.waiting ?? -1,
    waitingUncachedTokens: load.waitingUncachedTokens ?? -1,
    usedTokens: used,
    capacityTokens: capacity > 0 ? capacity : -1,
    usage: share,
    at,
  }
}
