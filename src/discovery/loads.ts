// How busy the engines say they are: a pool asks its workers in turn, never many at once, and only while somebody uses the answers.
import type { Ask, ReportedLoad } from '../actors/ask.ts'
import type { Seat } from '../actors/seat.ts'
import { engineOf, type AskWorker, type EngineLoad } from '../engines/engine.ts'
import { getLoad } from '../engines/get-load.ts'
import type { OrcaLoad } from '../engines/orca.ts'
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
  /** Engines that nobody knows are asked at /get_load, as the Rust routers do. */
  readonly asksUnknown?: boolean
  /** Workers are asked to tell it with their answers, too. */
  readonly orca: boolean
}

/** Steps of an interval that questions fall on: the alarm rings no more often. */
const STEPS = 8
/** Questions at once, or an eighth of the workers where that is more. */
const AT_ONCE = 8
/** Idle workers are asked so many times more rarely. */
const IDLE_FACTOR = 5
/** But not more rarely than this, ms: their answers must stay fresh. */
const IDLE_MOST = 12_000
/** What was told counts for so many intervals, where that is longer than 15 s. */
const FRESH_INTERVALS = 1.5
/** The longest time between questions to a worker that does not answer them, ms. */
const BACK_OFF_MOST = 60_000
/** Without a call for so long, nobody uses the answers, ms. */
const QUIET = 60_000
/** Failures in a row after which somebody should know. */
const SILENT_AFTER = 3
/** A worker makes no more reports with its answers than one in so many ms: each costs it a walk through all its metrics. */
const REPORT_GAP = 500
/** An engine that tells its load by itself does so each second; after so long it is asked, ms. */
const PUSH_LIFE = 5_000
/** Multiples of it, modulo 1, lie evenly however many there are. */
const GOLDEN = (Math.sqrt(5) - 1) / 2

/** What a pool lends its poller. */
export interface LoadSeams extends Pick<Host, 'fetch' | 'timer' | 'now' | 'random' | 'log'> {
  readonly seats: ReadonlyMap<string, Seat>
  /** Whether it is up to this pool to ask a worker; others tell of the rest. */
  isOwn(seat: Seat): boolean
  /** Those in force now. */
  rules(): LoadRules
  /** A worker's load is known anew. */
  told(seat: Seat, load: ReportedLoad): void
}

export class LoadPoller {
  readonly #seams: LoadSeams
  /** Share of its interval at which each worker's turn comes. */
  readonly #turns = new WeakMap<Seat, number>()
  /** Begins by chance: other routers with the same workers ask at other times. */
  #nextTurn: number | null = null
  #asking = 0
  #tookAt = -Infinity
  #usedAt: number

  constructor(seams: LoadSeams) {
    this.#seams = seams
    this.#usedAt = seams.now()
  }

  /** A call came. True when it is the first after a quiet time: `dueAt` has changed. */
  used(now: number): boolean {
    const wasQuiet = now - this.#usedAt > QUIET
    this.#usedAt = now
    if (wasQuiet) this.#forget(now)
    return wasQuiet
  }

  /** When the next worker is to be asked (epoch ms, maybe past); Infinity: none as things are. */
  dueAt(): number {
    const rules = this.#seams.rules()
    if (!this.#isWanted(rules)) return Infinity
    let next = Infinity
    for (const seat of this.#seams.seats.values()) next = Math.min(next, this.#dueOf(seat, rules))
    return Math.max(next, this.#tookAt + rules.interval / STEPS)
  }

  /** Takes those whose turn has come, the most overdue first, as many as may be asked at once. `ask` must follow. */
  take(): Seat[] {
    const { seats } = this.#seams
    const now = this.#seams.now()
    this.#forget(now)
    if (this.dueAt() > now) return []
    const due = [...seats.values()]
      .map((seat) => ({ seat, at: this.#dueOf(seat, this.#seams.rules()) }))
      .filter(({ at }) => at <= now)
      .sort((a, b) => a.at - b.at)
    const room = Math.max(AT_ONCE, Math.ceil(seats.size / STEPS)) - this.#asking
    const taken = due.slice(0, Math.max(0, room)).map(({ seat }) => seat)
    for (const { ranks } of taken) for (const seat of ranks) seat.loadAskedAt = now
    this.#tookAt = now
    this.#asking += taken.length
    return taken
  }

  /** Asks the workers that were taken and tells what they say. Never throws. */
  async ask(taken: readonly Seat[]): Promise<void> {
    await Promise.all(taken.map((seat) => this.#askOne(seat)))
    this.#forget(this.#seams.now())
  }

  /** Whether the worker is to tell its load with the answer of this call. Streams carry none: their heads go out before. */
  asksWith(ask: Ask, seat: Seat, now: number): boolean {
    const { orca, isUsed, isAlways } = this.#seams.rules()
    if (!orca || ask.stream || !(isUsed || isAlways)) return false
    // It would be the load of all ranks.
    if (seat.member.ref.rank !== undefined) return false
    if (seat.engine !== 'vllm' || now - seat.reportAskedAt < REPORT_GAP) return false
    seat.reportAskedAt = now
    return true
  }

  /** A worker told its load with an answer. What it left out stays as it was told before, while the worker answers questions. */
  heard(seat: Seat, load: OrcaLoad): void {
    const { reported, loadFailures } = seat
    const told = reportOf(seat, load, this.#seams.now())
    const known = loadFailures === 0 ? reported : null
    this.#seams.told(seat, {
      ...told,
      running: load.running ?? known?.running ?? -1,
      waiting: load.waiting ?? known?.waiting ?? -1,
      waitingUncachedTokens: known?.waitingUncachedTokens ?? -1,
      ...(known?.prefixCache && { prefixCache: known.prefixCache }),
    })
  }

  async #askOne(seat: Seat): Promise<void> {
    const load = await readLoad(this.#seams, seat, this.#seams.rules().timeout)
    this.#asking--
    if (load) {
      if (seat.loadFailures >= SILENT_AFTER) this.#say('info', seat, 'tells its load again')
      for (const rank of seat.ranks) this.#take(rank, loadOfRank(load, rank))
      return
    }
    seat.loadsMissed++
    if (++seat.loadFailures === SILENT_AFTER && engineOf(seat.engine) !== null)
      this.#say('warn', seat, 'does not tell its load: it is taken to be as busy as the others')
  }

  #take(seat: Seat, load: EngineLoad): void {
    seat.freshFor = Math.max(seat.freshFor, FRESH_INTERVALS * this.#seams.rules().interval)
    this.#seams.told(seat, reportOf(seat, load, this.#seams.now()))
    seat.loadFailures = 0
  }

  #say(level: 'info' | 'warn', seat: Seat, what: string): void {
    this.#seams.log({ level, message: `worker ${seat.url} ${what}`, worker: seat.id })
  }

  /** Forgets what is old. Nobody gets calls because nothing is known of it: such a worker counts as the mean of the others. */
  #forget(now: number): void {
    const silent: Seat[] = []
    let [told, calls, tokens] = [0, 0, 0]
    for (const seat of this.#seams.seats.values()) {
      seat.age(now)
      if (seat.reported === null) {
        silent.push(seat)
        continue
      }
      told++
      calls += seat.strayCalls
      tokens += seat.strayTokens
    }
    for (const seat of silent) {
      seat.strayCalls = told === 0 ? 0 : calls / told
      seat.strayTokens = told === 0 ? 0 : tokens / told
    }
  }

  #isWanted({ interval, isUsed, isAlways }: LoadRules): boolean {
    return interval > 0 && (isAlways || (isUsed && this.#seams.now() - this.#usedAt <= QUIET))
  }

  /** A new worker is asked at once; the others at their step of each interval, so that they stay apart. */
  #dueOf(seat: Seat, rules: LoadRules): number {
    const { interval } = rules
    const isAsked = engineOf(seat.engine) !== null || rules.asksUnknown === true
    if (seat.isDown || seat.member.draining || !isAsked || !this.#seams.isOwn(seat)) return Infinity
    if (seat !== speakerOf(seat)) return Infinity
    // It tells by itself, as long as it does.
    if (seat.pushedAt > 0 && this.#seams.now() - seat.pushedAt < PUSH_LIFE) return seat.pushedAt + PUSH_LIFE
    if (seat.loadAskedAt === 0) return 0
    const period = periodOf(seat, rules)
    const step = interval / STEPS
    const phase = Math.floor((this.#turnOf(seat) * period) / step) * step
    const next = phase + (Math.floor((seat.loadAskedAt - phase) / period) + 1) * period
    // Its turn came late, or its interval has changed.
    return next - seat.loadAskedAt < period / 2 ? next + period : next
  }

  #turnOf(seat: Seat): number {
    let turn = this.#turns.get(seat)
    if (turn === undefined) {
      turn = this.#nextTurn ?? this.#seams.random()
      this.#turns.set(seat, turn)
      this.#nextTurn = (turn + GOLDEN) % 1
    }
    return turn
  }
}

/**
 * Milliseconds from one question to the next: short while it has work or somebody wants to see its load, long while it has none,
 * longer with each failure.
 */
function periodOf(seat: Seat, { interval, isAlways }: LoadRules): number {
  const { ranks, loadFailures } = seat
  const isBusy =
    isAlways ||
    ranks.some(
      ({ inFlight, reported }) =>
        inFlight > 0 || (reported !== null && Math.max(reported.running, reported.waiting) > 0),
    )
  const period = isBusy ? interval : Math.max(interval, Math.min(interval * IDLE_FACTOR, IDLE_MOST))
  return loadFailures === 0
    ? period
    : Math.max(period, Math.min(interval * 2 ** Math.min(loadFailures, 10), BACK_OFF_MOST))
}

/** A server is asked once for all of its ranks: under the name of the first that takes calls. */
const speakerOf = ({ ranks }: Seat): Seat | undefined =>
  ranks.find(({ isDown, member }) => !isDown && !member.draining)

/** What an answer tells of one rank; of a server that does not tell them apart, its part of the whole. */
function loadOfRank(load: EngineLoad, { member, ranks }: Seat): EngineLoad {
  const { rank } = member.ref
  if (rank === undefined) return load
  const own = load.ranks?.find((one) => one.rank === rank)
  if (own) return own
  const { kvUsage, prefixCache } = load
  const part = { running: load.running / ranks.length, waiting: load.waiting / ranks.length }
  return { ...part, ...(kvUsage !== undefined && { kvUsage }), ...(prefixCache && { prefixCache }) }
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
    const engine = engineOf(member.ref.engine)
    return await (engine ? engine.load(ask, facts) : getLoad(ask))
  } catch {
    return null // an answer that nobody thought of
  }
}

/** What an engine told, in the pool's words: -1 stands for what it did not tell. Tokens follow from the usage where the capacity is known. */
export function reportOf(seat: Seat, load: Partial<EngineLoad>, at: number): ReportedLoad {
  const capacity = load.kvCapacityTokens ?? seat.capacityTokens
  const share =
    load.kvUsage ?? (capacity > 0 && load.kvTokens !== undefined ? Math.min(1, load.kvTokens / capacity) : -1)
  const used = load.kvTokens ?? (capacity > 0 && share >= 0 ? Math.round(share * capacity) : -1)
  return {
    running: load.running ?? -1,
    waiting: load.waiting ?? -1,
    waitingUncachedTokens: load.waitingUncachedTokens ?? -1,
    usedTokens: used,
    capacityTokens: capacity > 0 ? capacity : -1,
    usage: share,
    ...(load.prefixCache && { prefixCache: load.prefixCache }),
    at,
  }
}
