// What the end of an answer adds to: its series are found once, and again when an answer of that worker ends otherwise.
import type { Usage } from '../actors/ask.ts'
import type { Counter, Histogram } from './prometheus.ts'
import type { CounterSeries, HistogramSeries } from './series.ts'

/** An answer of a worker that ended. */
export interface AnsweredCall {
  readonly model: string
  readonly endpoint: string
  readonly status: number
  readonly outcome: string
  readonly worker: string
  /** From reading the call to the end of its answer. */
  readonly seconds: number
  readonly usage: Usage | null
}

interface Metrics {
  readonly requests: Counter<readonly [string, string, string, string]>
  readonly requestDuration: Histogram<readonly [string, string]>
  readonly workerRequests: Counter<readonly [string, string]>
  readonly tokens: Counter<readonly [string, string, string, string]>
}

interface Tokens {
  readonly prompt: CounterSeries
  readonly cached: CounterSeries
  readonly completion: CounterSeries
}

/** Answers that count in the same series. */
interface Kind extends Pick<AnsweredCall, 'model' | 'endpoint' | 'status' | 'outcome'> {
  readonly requests: CounterSeries
  readonly duration: HistogramSeries
  readonly workerRequests: CounterSeries
  readonly isEstimated: boolean
  /** Null: the answer told of none. */
  readonly tokens: Tokens | null
}

/** Calls mostly end as the one before did: with this a call looks up one name, in place of twenty. */
export class Answered {
  readonly #metrics: Metrics
  /** By worker: how its last answer ended. */
  readonly #kinds = new Map<string, Kind>()

  constructor(metrics: Metrics) {
    this.#metrics = metrics
  }

  count(call: AnsweredCall): void {
    const known = this.#kinds.get(call.worker)
    const kind = known && isSame(known, call) ? known : this.#find(call)
    kind.requests.add()
    kind.duration.observe(call.seconds)
    kind.workerRequests.add()
    const { tokens } = kind
    if (!tokens || !call.usage) return
    tokens.prompt.add(call.usage.promptTokens)
    tokens.cached.add(call.usage.cachedTokens ?? 0)
    tokens.completion.add(call.usage.completionTokens)
  }

  /** The series of a worker were dropped. */
  forget(worker: string): void {
    this.#kinds.delete(worker)
  }

  #find({ model, endpoint, status, outcome, worker, usage }: AnsweredCall): Kind {
    const { requests, requestDuration, workerRequests, tokens } = this.#metrics
    const [code, estimated] = [String(status), String(usage?.estimated)]
    const tokensOf = (kind: string) => tokens.with(model, worker, kind, estimated)
    const found: Kind = {
      model,
      endpoint,
      status,
      outcome,
      requests: requests.with(model, endpoint, code, outcome),
      duration: requestDuration.with(model, endpoint),
      workerRequests: workerRequests.with(worker, outcome),
      isEstimated: usage?.estimated === true,
      tokens: usage && {
        prompt: tokensOf('prompt'),
        cached: tokensOf('cached'),
        completion: tokensOf('completion'),
      },
    }
    // What finds no room is told each time.
    const isWhole =
      requests.find(model, endpoint, code, outcome) &&
      requestDuration.find(model, endpoint) &&
      workerRequests.find(worker, outcome) &&
      (!usage || tokens.find(model, worker, 'completion', estimated))
    if (isWhole) this.#kinds.set(worker, found)
    else this.#kinds.delete(worker)
    return found
  }
}

const isSame = (kind: Kind, { model, endpoint, status, outcome, usage }: AnsweredCall): boolean =>
  kind.status === status &&
  kind.outcome === outcome &&
  kind.model === model &&
  kind.endpoint === endpoint &&
  (usage ? kind.tokens !== null && kind.isEstimated === usage.estimated : kind.tokens === null)
