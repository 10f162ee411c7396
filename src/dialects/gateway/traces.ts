// Spans of calls for OpenTelemetry: each call continues its client's trace or begins one, its worker continues it, and what
// ended is sent to a collector as OTLP over HTTP, in JSON.
import { OUTSIDE } from '../../admission/outside.ts'
import type { Core } from '../../core.ts'
import { askWorker } from '../../discovery/ask.ts'
import type { Call } from '../../openai/call.ts'
import { pathname } from '../../openai/target.ts'
import type { Passing } from '../../forward/closing.ts'
import type { Happened, Step } from '../dialect.ts'

/** What flags say of it. */
export interface TraceRules {
  /** URL of the collector. */
  readonly endpoint: string
  /** Share of the traces begun here that are sent, 0 to 1. */
  readonly ratio: number
  /** Paths that are not traced. */
  readonly excluded: readonly string[]
  /** `service.name`. */
  readonly service: string
}

type Attributes = Readonly<Record<string, string | number | boolean>>

interface Said {
  readonly name: string
  readonly attributes: Attributes
}

/** What a router's spans are called, and what they say. */
export interface Wording {
  /** The attribute that holds the status. */
  readonly status: string
  /** A call is here; `url`: where it was sent. */
  begins(call: Call, url: string): Said
  /** A worker gets it: what its span says besides, and the span of the worker's part inside of it; absent: there is none. */
  sent?(call: Call, worker: string, core: Core): { readonly outer: Attributes; readonly inner: Said }
  /** Its answer ended: what its span says besides. */
  ends?(passing: Passing): Attributes
}

const GATEWAY: Wording = {
  status: 'http.response.status_code',
  begins: ({ method, path }) => ({
    name: `${method} ${pathname(path)}`,
    attributes: { 'http.request.method': method, 'url.path': pathname(path) },
  }),
  ends: ({ model, worker }) => ({ 'gen_ai.request.model': model, 'fetchway.worker': worker }),
}

interface Inner extends Said {
  readonly startedAt: number
}

interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly name: string
  readonly startedAt: number
  readonly requestId: string
  readonly attributes: Record<string, string | number | boolean>
  /** Of the worker's part. */
  readonly innerId: string | null
  inner: Inner | null
}

type Place = Pick<Span, 'traceId' | 'spanId' | 'parentSpanId' | 'innerId'>

/** Spans are gathered for so long, ms, or until they are so many; more than `MOST` that wait are dropped. */
const GATHER = 1000
const ENOUGH = 256
const MOST = 4096
/** A call that nobody heard of for so long is no more, ms. */
const FORGOTTEN = 7_200_000
const PATIENCE = 5000
/** A call that is over without an answer has been refused within this, or its client left, ms. */
const TOLD = 100
/** SPAN_KIND_SERVER and _CLIENT, and the codes of a status. */
const SERVER = 2
const CLIENT = 3
const OK = 1
const ERROR = 2

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

class Traces {
  readonly #rules: TraceRules
  readonly #wording: Wording
  readonly #open = new Map<string, Span>()
  #ended: object[] = []
  #isWaiting = false
  #hasFailed = false

  constructor(rules: TraceRules, wording: Wording) {
    this.#rules = rules
    this.#wording = wording
  }

  /** A call is here: as it goes on to its worker, with a place of its own in the trace. `url`: where it was sent. */
  began(call: Call, { host }: Core, url = ''): Call {
    const path = pathname(call.path)
    if (this.#rules.excluded.includes(path)) return call
    const { passed } = call.headers
    const at = passed.indexOf('traceparent')
    const told = TRACEPARENT.exec(at >= 0 && at % 2 === 0 ? (passed[at + 1] ?? '') : '')
    const isSampled = told ? (parseInt(told[3] as string, 16) & 1) === 1 : host.random() < this.#rules.ratio
    const traceId = told?.[1] ?? hex(32, host.random)
    const spanId = hex(16, host.random)
    const innerId = this.#wording.sent ? hex(16, host.random) : null
    const traceparent = `00-${traceId}-${innerId ?? spanId}-${isSampled ? '01' : '00'}`
    const others = at >= 0 && at % 2 === 0 ? passed.toSpliced(at, 2) : passed
    if (isSampled) this.#remember(call, { traceId, spanId, parentSpanId: told?.[2] ?? '', innerId }, url)
    return { ...call, headers: { ...call.headers, passed: [...others, 'traceparent', traceparent] } }
  }

  follow(step: Step, core: Core): void {
    if (step.kind === 'sent') return this.#sent(step, core)
    if (step.kind !== 'over') return
    const { id } = step
    const span = this.#open.get(id)
    // What its client is told, if anything, follows at once.
    if (span) core.host.timer(TOLD, () => this.#open.has(id) && this.#end(core, span, id, null))
  }

  count(happened: Happened, core: Core): void {
    if (happened.kind !== 'ended') return
    const { id, status } = happened.passing
    const span = this.#open.get(id)
    if (!span) return
    Object.assign(span.attributes, this.#wording.ends?.(happened.passing))
    this.#end(core, span, id, happened.ending.failure === undefined ? status : null)
  }

  /** A call was refused. */
  refused(status: number, requestId: string | undefined, core: Core): void {
    for (const [id, span] of this.#open)
      if (span.requestId === requestId) return this.#end(core, span, id, status)
  }

  /** Further attempts are parts of the same. */
  #sent({ admitted, plan }: Step & { readonly kind: 'sent' }, core: Core): void {
    const span = this.#open.get(admitted.call.id)
    const said = span && this.#wording.sent?.(admitted.call, plan.worker.url, core)
    if (!said) return
    Object.assign(span.attributes, said.outer)
    span.inner = { ...said.inner, startedAt: span.inner?.startedAt ?? core.host.now() }
  }

  #remember(call: Call, place: Place, url: string): void {
    for (const [id, { startedAt }] of this.#open) {
      if (call.startedAt - startedAt < FORGOTTEN) break
      this.#open.delete(id)
    }
    const { id, startedAt, requestId } = call
    const { name, attributes } = this.#wording.begins(call, url)
    this.#open.set(id, { ...place, name, startedAt, requestId, attributes: { ...attributes }, inner: null })
  }

  /** `status`: null: it broke off. */
  #end(core: Core, span: Span | undefined, id: string, status: number | null): void {
    this.#open.delete(id)
    if (!span || this.#ended.length >= MOST) return
    const { traceId, spanId, parentSpanId, innerId, inner } = span
    const ending = (said: Said & { readonly startedAt: number }) => ({
      name: said.name,
      startTimeUnixNano: nanos(said.startedAt),
      endTimeUnixNano: nanos(core.host.now()),
      attributes: attributesOf({
        ...said.attributes,
        ...(status !== null && { [this.#wording.status]: status }),
      }),
      status: { code: status !== null && status < 500 ? OK : ERROR },
    })
    const parent = parentSpanId !== '' && { parentSpanId }
    this.#ended.push({ traceId, spanId, ...parent, kind: SERVER, ...ending(span) })
    if (inner)
      this.#ended.push({ traceId, spanId: innerId, parentSpanId: spanId, kind: CLIENT, ...ending(inner) })
    if (this.#ended.length >= ENOUGH) core.host.after(this.#send(core))
    else this.#wait(core)
  }

  #wait(core: Core): void {
    if (this.#isWaiting) return
    this.#isWaiting = true
    core.host.timer(GATHER, () => core.host.after(this.#send(core)))
  }

  async #send({ host }: Core): Promise<void> {
    this.#isWaiting = false
    const spans = this.#ended
    this.#ended = []
    if (spans.length === 0) return
    const resource = { attributes: attributesOf({ 'service.name': this.#rules.service }) }
    const body = JSON.stringify({
      resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'fetchway' }, spans }] }],
    })
    const { origin, pathname: base } = new URL(this.#rules.endpoint)
    const path = base === '/' ? '/v1/traces' : base
    const collector = { id: origin, url: origin, engine: OUTSIDE }
    const { status } = await askWorker(host, collector, { method: 'POST', path, body, timeout: PATIENCE })
    const isGood = status >= 200 && status <= 299
    if (!isGood && !this.#hasFailed) {
      const why = status === 0 ? 'it cannot be reached' : `it answered ${status}`
      host.log({ level: 'warn', message: `traces are lost: ${origin}${path}: ${why}` })
    }
    this.#hasFailed = !isGood
  }
}

function hex(length: number, random: () => number): string {
  let text = ''
  while (text.length < length) text += Math.floor(random() * 16).toString(16)
  return /^0+$/.test(text) ? `${text.slice(1)}1` : text
}

const nanos = (ms: number): string => `${BigInt(Math.round(ms * 1000)) * 1000n}`

const attributesOf = (all: Attributes): object[] =>
  Object.entries(all).map(([key, value]) => ({ key, value: valueOf(value) }))

function valueOf(value: string | number | boolean): object {
  if (typeof value === 'boolean') return { boolValue: value }
  return typeof value === 'number' ? { intValue: String(value) } : { stringValue: value }
}

/** Where a collector takes spans over HTTP: of `HOST:4317`, which is for gRPC, at its neighbour. */
export function collectorUrl(endpoint: string, isSecure = false): string {
  const url = /^https?:\/\//.test(endpoint) ? endpoint : `http${isSecure ? 's' : ''}://${endpoint}`
  return url.replace(/:4317(?=\/|$)/, ':4318')
}

/** The rules as options of the dialect; null: nothing is traced. */
export function traceRules(
  values: Readonly<Record<string, unknown>>,
  service: string,
): { readonly traces: TraceRules } | null {
  if (values['enable_trace'] !== true) return null
  const endpoint = values['otlp_traces_endpoint']
  const ratio = values['otel_sampling_ratio']
  const excluded = values['otel_excluded_paths']
  return {
    traces: {
      endpoint: collectorUrl(typeof endpoint === 'string' ? endpoint : 'localhost:4317'),
      ratio: typeof ratio === 'number' ? Math.min(1, Math.max(0, ratio)) : 1,
      excluded: (Array.isArray(excluded) ? excluded : []).flatMap((one) => String(one).split(',')),
      service,
    },
  }
}

/** What the options say; null: nothing is traced. */
export function tracesOf(
  options: Readonly<Record<string, unknown>>,
  wording: Wording = GATEWAY,
): Traces | null {
  const rules = options['traces'] as TraceRules | undefined
  return rules === undefined ? null : new Traces(rules, wording)
}

interface Watcher {
  follow(step: Step, core: Core): void
  count(happened: Happened, core: Core): void
}

/** What a surface tells of calls, to all who watch them. */
export const told = (...watchers: readonly (Watcher | null)[]): Watcher => ({
  follow: (step, core) => {
    for (const watcher of watchers) watcher?.follow(step, core)
  },
  count: (happened, core) => {
    for (const watcher of watchers) watcher?.count(happened, core)
  },
})
