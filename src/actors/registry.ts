// Who exists. Keeps the workers, asks each what it is until it answers, and tells pools and app when that changes.
import type { Config, WorkerSpec } from '../config/schema.ts'
import { workersOf } from '../config/fleet.ts'
import type { Heard, SourceStatus } from '../discovery/source.ts'
import { opaqueId } from '../hash.ts'
import type { ActorState } from './actor.ts'
import type { RefusalValue } from './ask.ts'
import { askFacts, judge } from './asking.ts'
import { Discovered } from './discovered.ts'
import { Looking } from './looking.ts'
import {
  directoryOf,
  refOf,
  withoutNulls,
  type Directory,
  type Membership,
  type WorkerRecord,
  type WorkerSource,
  type WorkerView,
} from './members.ts'
import { findRecord, membersOf, serverIdOf, setDraining, viewFor, viewsOf } from './ranks.ts'
import type { Shared } from './shared-workers.ts'
import { isKept, restoreWorkers, storeWorkers, type StoredWorker } from './stored-workers.ts'

/** A silent worker is asked again after 0.25 s, 0.5 s, … up to this; one that answered, each minute (models and adapters come and go). */
const FIRST_PAUSE = 250
const MAX_PAUSE = 5_000
const REFRESH = 60_000

export type Registered = { readonly worker: WorkerView } | { readonly refusal: RefusalValue }

/** What PATCH may change; `null` takes a value back. */
export interface WorkerChange {
  readonly draining?: boolean | undefined
  /** What its tunnel knows at once. */
  readonly reachable?: boolean
  readonly spec?: Partial<WorkerSpec> | undefined
}

export class Registry {
  #config: Config
  readonly #state: ActorState
  readonly #records = new Map<string, WorkerRecord>()
  readonly #shared: Shared | undefined
  readonly #discovered: Discovered
  /** Callers of `settled` that wait. */
  #waiting: Array<() => void> = []
  /** Begins with the time: what a registry before this one told must not be taken for the same. */
  #version: number
  readonly #looking: Looking

  constructor(config: Config, state: ActorState) {
    this.#config = config
    this.#state = state
    this.#version = Math.floor(state.now())
    this.#looking = new Looking(state)
    this.#shared = state.storage.share?.(state, (stored) => this.#adopt(stored))
    this.#discovered = new Discovered(state, {
      all: this.#records,
      insert: ({ spec, key, source = 'discovery' }) => this.#insert(spec, source, key),
      changed: () => this.#rediscovered(),
    })
    for (const spec of workersOf(config)) this.#insert(spec, 'flag')
  }

  /** Restores the workers that were added by the API and begins to ask all. Called once, by the home. */
  async start(): Promise<void> {
    this.#adopt(await restoreWorkers(this.#state))
    this.#shared?.follow()
    this.#discovered.configure(this.#config)
    if (workersOf(this.#config).length > 0) await this.#store('flag')
  }

  /** What is stored is the truth about the workers that were added by the API. */
  #adopt(stored: readonly StoredWorker[]): void {
    const ids = new Set(stored.map(({ spec }) => opaqueId('w', spec.url)))
    for (const { id, source } of this.#records.values())
      if (source === 'api' && !ids.has(id)) this.#records.delete(id)
    for (const { spec, source, addedAt, draining } of stored) {
      const record = this.#insert(spec, source) ?? this.#records.get(opaqueId('w', spec.url))
      if (record?.source === source) Object.assign(record, { spec, addedAt, draining })
    }
    this.#announce()
    this.#tellSettled()
    this.#state.setAlarm(this.#state.now())
  }

  /** Adds a worker. 409 when its URL is there already. */
  async add(spec: WorkerSpec, source: WorkerSource): Promise<Registered> {
    await this.#shared?.catchUp()
    const record = this.#insert(spec, source)
    if (!record) {
      const id = opaqueId('w', spec.url)
      const message = `A worker with the URL ${spec.url} exists already as ${id}: change it with PATCH /fetchway/v1/workers/${id}.`
      return refuse(409, 'worker_exists', message)
    }
    this.#state.setAlarm(this.#state.now())
    await Promise.all([this.#changed(), this.#store(source)])
    return { worker: viewFor(record, record.id, this.#config) }
  }

  async patch(id: string, change: WorkerChange): Promise<Registered> {
    await this.#shared?.catchUp()
    const record = findRecord(this.#records, id, this.#config)
    if (!record) return unknown(id)
    if (change.draining !== undefined) setDraining(record, id, change.draining)
    if (change.reachable !== undefined) record.reachable = change.reachable
    if (change.spec) {
      record.spec = withoutNulls({ ...record.spec, ...change.spec })
      record.askAt = this.#state.now()
      this.#state.setAlarm(record.askAt)
    }
    await Promise.all([this.#changed(), this.#store(record.source)])
    return { worker: viewFor(record, id, this.#config) }
  }

  /** Of a rank: with its server. */
  async remove(id: string): Promise<Registered> {
    await this.#shared?.catchUp()
    const record = findRecord(this.#records, id, this.#config)
    if (!record) return unknown(id)
    this.#records.delete(record.id)
    this.#discovered.removed(record)
    const changed = this.#changed()
    this.#tellSettled()
    await Promise.all([changed, this.#store(record.source)])
    return { worker: viewFor(record, record.id, this.#config) }
  }

  get(id: string): WorkerView | null {
    const record = findRecord(this.#records, id, this.#config)
    return record ? viewFor(record, id, this.#config) : null
  }

  list(): WorkerView[] {
    return [...this.#records.values()].flatMap((record) => viewsOf(record, this.#config))
  }

  /** The workers for the pools, or null when nothing changed since that version. */
  members(since: number): Membership | null {
    if (since === this.#version) return null
    const members = [...this.#records.values()].flatMap((record) => membersOf(record, this.#config))
    return { version: this.#version, members }
  }

  /** The models for the app, or null when nothing changed since that version. */
  directory(since: number): Directory | null {
    return since === this.#version ? null : directoryOf(this.#version, this.#records.values())
  }

  /** A heartbeat by HTTP. */
  beat(value: unknown, isTrusted: boolean): Promise<Heard> {
    return this.#discovered.hear(this.#config, value, isTrusted)
  }

  /** How the sources of discovery are. */
  sources(): SourceStatus[] {
    return this.#discovered.status()
  }

  /** Resolves when every worker was asked at least once, whether it answered or not. */
  settled(): void | Promise<void> {
    if (this.#isSettled()) return
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Asks all workers now: somebody names a model that none is known to have. At most every two seconds, and not longer than one. */
  async look(): Promise<void> {
    await this.#looking.look(() =>
      Promise.all([...this.#records.values()].map((record) => this.#ask(record))),
    )
  }

  /** Asks a worker (or all) again soon: it came back, or its adapters changed. */
  refresh(id?: string): void {
    for (const record of this.#records.values())
      if (id === undefined || record.id === serverIdOf(id)) record.askAt = 0
    this.#state.setAlarm(this.#state.now())
  }

  /** A new configuration: replaces the workers that came from the old one; those of other sources stay. */
  configure(config: Config): void {
    this.#config = config
    const wanted = new Map(workersOf(config).map((spec) => [opaqueId('w', spec.url), spec]))
    for (const record of this.#records.values()) {
      const spec = wanted.get(record.id)
      if (spec) record.spec = spec
      else if (record.source === 'flag') this.#records.delete(record.id)
      wanted.delete(record.id)
    }
    for (const spec of wanted.values()) this.#insert(spec, 'flag')
    this.#discovered.configure(config)
    this.#announce()
    this.#tellSettled()
    this.refresh()
  }

  async alarm(): Promise<void> {
    const now = this.#state.now()
    const due = [...this.#records.values()].filter((record) => record.askAt <= now)
    for (const record of due) record.askAt = now + MAX_PAUSE + this.#config.healthTimeout
    this.#rearm()
    await Promise.all(due.map((record) => this.#ask(record)))
  }

  async #ask(record: WorkerRecord): Promise<void> {
    const { healthTimeout } = this.#config
    const worker = refOf(record, this.#config)
    const { facts, isKeyRefused } = await askFacts(this.#state, worker, record, healthTimeout)
    if (this.#records.get(record.id) !== record) return
    const now = this.#state.now()
    const isFirst = record.facts === null && facts !== null
    const isOther = facts !== null && JSON.stringify(facts) !== JSON.stringify(record.facts)
    record.silent = facts ? 0 : record.silent + 1
    record.askAt =
      now + (facts ? REFRESH : Math.min(MAX_PAUSE, FIRST_PAUSE * 2 ** Math.min(record.silent - 1, 8)))
    record.asked = true
    if (facts) record.facts = facts
    judge(this.#state, record, facts === null && isKeyRefused, this.#config)
    if (isOther) await this.#changed()
    if (isOther && this.#state.storage.keepsModels) await this.#store(record.source)
    if (isFirst)
      this.#state.log({
        level: 'info',
        message: `worker ${record.spec.url} runs ${facts.engine === 'unknown' ? 'an unknown engine' : facts.engine}`,
        worker: record.id,
        models: facts.models.map((model) => model.id),
      })
    this.#tellSettled()
    // At once: those that hang must not hold up the next look at those that do not.
    this.#rearm()
  }

  #tellSettled(): void {
    if (this.#isSettled()) for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #isSettled(): boolean {
    return [...this.#records.values()].every((record) => record.asked) && this.#discovered.isSettled()
  }

  #insert(spec: WorkerSpec, source: WorkerSource, identity = spec.url): WorkerRecord | null {
    const id = opaqueId('w', identity)
    if (this.#records.has(id)) return null
    if (source !== 'discovery' && source !== 'beat') this.#discovered.yield(spec.url)
    const record: WorkerRecord = {
      id,
      spec,
      source,
      addedAt: this.#state.now(),
      draining: false,
      facts: null,
      askAt: 0,
      silent: 0,
      asked: false,
      problem: null,
    }
    this.#records.set(id, record)
    return record
  }

  /**
   * A hint to the pool; what it then pulls is the truth. Resolves when the pool has it, so that the next call after an answer of
   * ours meets the new membership; a pool that is lost pulls when it is back.
   */
  async #changed(): Promise<void> {
    this.#version++
    try {
      await this.#state.pool('main').hint(this.#version)
    } catch (error) {
      this.#state.log({ level: 'warn', message: 'the pool did not hear of a change', error: String(error) })
    }
  }

  /** New workers are asked at once. */
  #rediscovered(): void {
    this.#announce()
    this.#tellSettled()
    this.#state.setAlarm(this.#state.now())
  }

  /** The same without waiting. */
  #announce(): void {
    this.#state.after(this.#changed())
  }

  async #store(source: WorkerSource): Promise<void> {
    if (isKept(source, this.#state)) await storeWorkers(this.#state, this.#records.values())
  }

  #rearm(): void {
    const next = Math.min(...[...this.#records.values()].map(({ askAt }) => askAt))
    if (next < Infinity) this.#state.setAlarm(next)
  }
}

const refuse = (status: number, code: string, message: string) => ({ refusal: { status, code, message } })

const unknown = (id: string) =>
  refuse(404, 'worker_not_found', `There is no worker ${id}: GET /fetchway/v1/workers lists them.`)
