// One of several routers decides for all: this one's asks go there, and while it is silent this one decides by itself.
import type { ActorRef, Remote } from '../actors/actor.ts'
import type { Ask, Failure, Note, Pick as Picked, Renewal } from '../actors/ask.ts'
import { Pool } from '../actors/pool.ts'
import type { Registry } from '../actors/registry.ts'
import type { Config } from '../config/schema.ts'
import type { Host, WorkerRef } from '../host.ts'
import { routerAt, say } from './call.ts'
import { readPlan, sayAsk, type Said, type SaidPick } from './words.ts'

/** Names of the pool: as callers know it, and the one in this router, which answers for it as the leader of others. */
const [WHOLE, OWN] = ['main', 'own']
/** A leader says within half a second that a call waits: silence of this length is trouble, ms. */
const TIMEOUT = 1500
/** A silent leader is asked again after this, ms. */
const PAUSE = 1000
/** What nobody waits for is gathered for so long, ms. */
const GATHER = 5

export interface LeaderSeams extends Pick<Host, 'fetch' | 'timer' | 'now' | 'log' | 'after'> {
  readonly registry: ActorRef<Registry>
}

/** The name under which this router's own pool is found, whoever leads. */
export const ownName = ({ leader }: Config): string => (leader === undefined ? WHOLE! : OWN!)

/** A reference by which `main` asks the leader. Without one it is the pool itself. */
export function led(pool: ActorRef<Pool>, config: Config, seams: LeaderSeams): ActorRef<Pool> {
  if (config.leader === undefined) return pool
  const follower = new Follower(() => pool(WHOLE!), routerAt(config.leader, config.adminKey), seams)
  const whole: Remote<Pool> = { ...ownCalls(() => pool(WHOLE!)), ...follower.calls() }
  return (name) => (name === WHOLE ? whole : pool(name === OWN ? WHOLE! : name))
}

type Calls = 'pick' | 'repick' | 'note' | 'renew' | 'settle' | 'expire'

class Follower {
  readonly #own: () => Remote<Pool>
  readonly #leader: WorkerRef
  readonly #seams: LeaderSeams
  /** Calls that the leader decided. */
  readonly #led = new Set<string>()
  #gathered: Said[] = []
  #silentUntil = 0
  #isSilent = false
  #members: { version: number; refs: Map<string, WorkerRef> } = { version: 0, refs: new Map() }

  constructor(own: () => Remote<Pool>, leader: WorkerRef, seams: LeaderSeams) {
    this.#own = own
    this.#leader = leader
    this.#seams = seams
  }

  calls(): Pick<Remote<Pool>, Calls> {
    return {
      pick: (ask) => this.#pick(ask),
      repick: (failure, ask, tried) => this.#repick(failure, ask, tried),
      note: (notes) => this.#note(notes),
      renew: (renewals) => this.#renew(renewals),
      settle: (id, outcome) => {
        // A pick may be on its way: then the leader has the call, or will.
        if (this.#led.delete(id)) this.#tell(['settle', id, outcome])
        return this.#own().settle(id, outcome)
      },
      expire: () => {
        if (this.#led.size > 0) this.#tell(['expire'])
        return this.#own().expire()
      },
    }
  }

  async #pick(ask: Ask): Promise<Picked> {
    const own = () => this.#own().pick(ask)
    return (await this.#decide(ask, ['pick', this.#said(ask)])) ?? degraded(await own())
  }

  async #repick(failure: Failure, ask: Ask, tried: readonly string[] = []): Promise<Picked> {
    const own = () => this.#own().repick(failure, ask, tried)
    if (!this.#led.has(ask.id)) return own()
    const said = ['repick', failure, this.#said(ask), tried] as const
    return (await this.#decide(ask, said)) ?? degraded(await own())
  }

  /** Null: the leader is silent, and the call is no longer its. */
  async #decide(ask: Ask, first: Said): Promise<Picked | null> {
    if (this.#isLost()) return null
    this.#led.add(ask.id)
    try {
      let answer = await this.#ask(first)
      while ('waits' in answer) answer = await this.#ask(['pick', this.#said(ask)])
      this.#heard(true)
      if ('refusal' in answer) return answer
      const plan = readPlan(answer.plan, await this.#refs())
      if (plan) return { plan }
      this.#tell(['settle', ask.id, { kind: 'left' }])
    } catch (error) {
      this.#heard(false, error)
    }
    this.#led.delete(ask.id)
    return null
  }

  /** Says what was gathered, too: what is told stays in its order. */
  async #ask(said: Said): Promise<SaidPick> {
    const all = [...this.#gathered.splice(0), said]
    return (await say(this.#seams, this.#leader, all, TIMEOUT)).at(-1) as SaidPick
  }

  /** A leader that fell silent is looked for now and then, and no call waits for that. */
  #isLost(): boolean {
    const { now, after } = this.#seams
    if (this.#isSilent && now() >= this.#silentUntil) {
      this.#silentUntil = now() + PAUSE
      const answer = say(this.#seams, this.#leader, [], TIMEOUT)
      after(
        answer.then(
          () => this.#heard(true),
          (error: unknown) => this.#heard(false, error),
        ),
      )
    }
    return this.#isSilent
  }

  #note(notes: readonly Note[]): void | Promise<void> {
    const isLed = (note: Note) => 'id' in note && this.#led.has(note.id)
    const led = notes.filter(isLed)
    if (led.length > 0) this.#tell(['note', led])
    const own = notes.filter((note) => !isLed(note))
    if (own.length > 0) return this.#own().note(own)
  }

  #renew(renewals: readonly Renewal[]): void | Promise<void> {
    const led = renewals.filter(({ id }) => this.#led.has(id))
    if (led.length > 0) this.#tell(['renew', led])
    const own = renewals.filter(({ id }) => !this.#led.has(id))
    if (own.length > 0) return this.#own().renew(own)
  }

  /** Nobody waits for it. What does not arrive, leases that nobody renews make good. */
  #tell(said: Said): void {
    if (this.#gathered.push(said) > 1) return
    this.#seams.timer(GATHER, () => {
      const all = this.#gathered.splice(0)
      if (all.length === 0) return
      const said = say(this.#seams, this.#leader, all, TIMEOUT)
      this.#seams.after(said.then(undefined, (error: unknown) => this.#heard(false, error)))
    })
  }

  #heard(isThere: boolean, error?: unknown): void {
    const { log, now } = this.#seams
    if (!isThere) this.#silentUntil = now() + PAUSE
    if (this.#isSilent === !isThere) return
    this.#isSilent = !isThere
    if (isThere) log({ level: 'info', message: 'the leader answers again' })
    else {
      const message = 'the leader does not answer: this router decides by itself'
      log({ level: 'warn', message, error: String(error) })
    }
  }

  #said(ask: Ask) {
    return sayAsk(ask, this.#seams.now())
  }

  async #refs(): Promise<(id: string) => WorkerRef | undefined> {
    const membership = await this.#seams.registry('main').members(this.#members.version)
    if (membership) {
      const refs = new Map(membership.members.map(({ ref }) => [ref.id, ref] as const))
      this.#members = { version: membership.version, refs }
    }
    return (id) => this.#members.refs.get(id)
  }
}

/** Decided without the leader: that is counted. */
function degraded(pick: Picked): Picked {
  return 'plan' in pick ? { plan: { ...pick.plan, isDegraded: true } } : pick
}

/** What is not of one call is asked of this router's own pool. */
function ownCalls(own: () => Remote<Pool>): Remote<Pool> {
  type Methods = Record<string, (...args: unknown[]) => unknown>
  const names = Object.getOwnPropertyNames(Pool.prototype).filter((name) => name !== 'constructor')
  const entries = names.map((name) => [
    name,
    (...args: unknown[]) => (own() as unknown as Methods)[name]?.(...args),
  ])
  return Object.fromEntries(entries) as Remote<Pool>
}
