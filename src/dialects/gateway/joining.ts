// Workers that are added while the router runs: each is waited for until it is well, and only then gets calls.
import type { Core } from '../../core.ts'
import { workerSchema, type WorkerSpec } from '../../config/schema.ts'
import { askWorker } from '../../discovery/ask.ts'
import { opaqueId } from '../../hash.ts'

export interface JoiningRules {
  /** Milliseconds until a worker that does not come up is given up. */
  readonly timeout: number
  /** Longest time between two looks, ms. */
  readonly interval: number
}

/** How adding a worker goes on. */
export interface Job {
  readonly spec: WorkerSpec
  readonly startedAt: number
  status: 'pending' | 'processing' | 'failed'
  message?: string
}

const FIRST_LOOK = 100
/** How long a new worker may take to say what it is before it is taken as it is, ms. */
const INTRODUCTION = 2000
/** Jobs that failed are shown for so long, ms. */
const KEPT = 300_000

export class Joining {
  readonly #rules: JoiningRules
  /** By URL. */
  readonly #jobs = new Map<string, Job>()

  constructor(rules: JoiningRules) {
    this.#rules = rules
  }

  /** Jobs that go on or have failed of late. */
  jobs(now: number): Job[] {
    for (const [url, job] of this.#jobs)
      if (job.status === 'failed' && now - job.startedAt > KEPT + this.#rules.timeout) this.#jobs.delete(url)
    return [...this.#jobs.values()]
  }

  /** Whether somebody adds that URL right now. */
  isJoining(url: string): boolean {
    const status = this.#jobs.get(url)?.status
    return status !== undefined && status !== 'failed'
  }

  /** Stops adding it; harmless when nobody does. */
  drop(url: string): void {
    this.#jobs.delete(url)
  }

  /** Waits for the worker and adds it. Returns what is wrong, or null. `signal`: nobody waits any more. */
  async join(core: Core, spec: WorkerSpec, signal?: AbortSignal): Promise<string | null> {
    const { host } = core
    const job: Job = { spec, startedAt: host.now(), status: 'processing' }
    this.#jobs.set(spec.url, job)
    const problem = await this.#wait(core, job, signal)
    if (this.#jobs.get(spec.url) !== job) return 'the worker was removed meanwhile'
    if (problem !== null) {
      job.status = 'failed'
      job.message = problem
      return problem
    }
    const added = await host.registry('main').add(spec, 'api')
    this.#jobs.delete(spec.url)
    if ('refusal' in added) return added.refusal.message
    await introduced(core)
    return null
  }

  async #wait(core: Core, { spec, startedAt }: Job, signal?: AbortSignal): Promise<string | null> {
    const { host, config } = core
    const apiKey = spec.apiKey ?? config.workerApiKey
    const worker = { id: opaqueId('w', spec.url), url: spec.url, engine: spec.engine ?? 'unknown' }
    const keyed = apiKey === undefined ? worker : { ...worker, apiKey }
    let pause = FIRST_LOOK
    for (;;) {
      const question = { method: 'GET', path: config.healthPath, timeout: config.healthTimeout } as const
      const { status } = await askWorker(host, keyed, question)
      if (status >= 200 && status <= 299) return null
      if (signal?.aborted || !this.#jobs.has(spec.url)) return 'nobody waits for it any more'
      if (host.now() - startedAt + pause > this.#rules.timeout)
        return `did not become healthy within ${this.#rules.timeout / 1000} s`
      await new Promise<void>((resolve) => host.timer(pause, resolve))
      pause = Math.min(this.#rules.interval, pause * 2)
    }
  }
}

/** The next call should meet a worker that said what it is. */
async function introduced({ host }: Core): Promise<void> {
  let cancel = () => {}
  const late = new Promise<void>((resolve) => (cancel = host.timer(INTRODUCTION, () => resolve())))
  await Promise.race([host.registry('main').settled(), late])
  cancel()
}

/** A worker as the configuration would have it, or what is wrong with it. */
export function specOf(value: Readonly<Record<string, unknown>>): WorkerSpec | string {
  const parsed = workerSchema.safeParse(value)
  if (parsed.success) return parsed.data
  return parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
}

/** Seconds of the dialect's options as rules. */
export function joiningRules(options: Readonly<Record<string, unknown>>): JoiningRules {
  const seconds = (name: string, initial: number) => {
    const value = options[name]
    return (typeof value === 'number' && value > 0 ? value : initial) * 1000
  }
  return { timeout: seconds('startupTimeout', 300), interval: seconds('checkInterval', 10) }
}
