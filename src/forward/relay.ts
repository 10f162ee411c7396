// Passes an answer to the client as it comes and notices its first token, its end, its death, and the client's leave.
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { Started } from '../execute/attempted.ts'
import { UpstreamFailure, type Watch } from '../host.ts'
import { idNameOf } from '../openai/call.ts'
import { createJsonWatch, createStreamWatch } from '../openai/watch.ts'
import { closing, passingOf, type Ending, type Passing } from './closing.ts'
import { answerHeaders, headerOf, isEventStream } from './headers.ts'

const encoder = new TextEncoder()

/** The client's Response. From here on the call ends by its Watch, once. */
export function relay(core: Core, admitted: Admitted, started: Started): Response {
  const { call, stripUsage } = admitted
  const { upstream, plan } = started
  const passing = passingOf(core, admitted, started)
  const isStream = isEventStream(upstream.headers) && upstream.status < 400
  const ours = [
    idNameOf(core),
    call.requestId,
    'x-fetchway-worker',
    plan.worker.id,
    'x-fetchway-decision',
    plan.decision,
  ]
  // An event stream may end with other bytes than the engine announced.
  const engine = isStream ? withoutLength(upstream.headers) : upstream.headers
  const answer = { status: upstream.status, headers: answerHeaders(engine, ours) }
  if (plan.waited > 0) core.instruments.queueWait.with().observe(plan.waited / 1000)
  call.release()
  const passage = { core, passing, started, close: closing(core, passing) }
  const watch = isStream ? watchStream(passage, stripUsage) : watchWhole(passage, upstream.headers)
  return core.host.relay(upstream, answer, watch)
}

/** An answer on its way through. */
interface Passage {
  readonly core: Core
  readonly passing: Passing
  readonly started: Started
  readonly close: (ending: Ending) => void
}

function withoutLength(headers: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    if ((headers[i] as string).toLowerCase() !== 'content-length')
      kept.push(headers[i] as string, headers[i + 1] as string)
  }
  return kept
}

function watchStream({ core, passing, started, close }: Passage, stripUsage: boolean): Watch {
  const { host, instruments } = core
  const { deadline } = started
  let lastAt = 0
  const inner = createStreamWatch({
    shape: passing.shape,
    stripUsage,
    now: host.now,
    onFirstToken(at) {
      deadline.began(at)
      core.notes.add({ id: passing.id, kind: 'first', after: at - passing.sentAt })
      if (inner.responseId !== null)
        core.notes.add({ id: passing.id, kind: 'state', state: inner.responseId })
      instruments.firstToken.with(passing.model, passing.worker).observe((at - passing.sentAt) / 1000)
    },
  })
  const finish = (ending: Omit<Ending, 'state'>) => {
    deadline.stop()
    const { firstTokenAt, tokens } = inner
    if (firstTokenAt !== null && tokens > 1) {
      instruments.interToken
        .with(passing.model, passing.worker)
        .observe((lastAt - firstTokenAt) / 1000 / (tokens - 1))
    }
    close({ ...ending, state: inner.responseId })
  }
  const broken = (failure: UpstreamFailure): Uint8Array => {
    const isTimeout = failure.kind.endsWith('_timeout')
    finish({
      outcome: isTimeout ? 'timeout' : 'truncated',
      usage: inner.usageOrEstimate(passing.tokens),
      failure,
    })
    return encoder.encode(
      inner.errorText({ message: sentenceOf(failure), code: codeOf(failure), status: isTimeout ? 504 : 502 }),
    )
  }
  return {
    chunk(bytes) {
      lastAt = host.now()
      deadline.touch(lastAt)
      return inner.chunk(bytes)
    },
    end() {
      const rest = inner.end()
      if (!inner.isFinished && !inner.isFailed) {
        return joined(rest, broken(new UpstreamFailure('reset', 'The stream ended before it was finished.')))
      }
      const usage = inner.usage()
      if (usage === null && core.config.usage === 'all') instruments.usageMissed.with(passing.shape).add()
      finish({
        outcome: inner.isFailed ? 'upstream_error' : 'ok',
        usage: usage ?? inner.usageOrEstimate(passing.tokens),
      })
      return rest
    },
    fail(given) {
      const failure = started.broken() ?? given
      if (failure.kind !== 'aborted') return broken(failure)
      finish({ outcome: 'left', usage: inner.usageOrEstimate(passing.tokens) })
      return null
    },
    leave() {
      finish({ outcome: 'left', usage: inner.usageOrEstimate(passing.tokens) })
    },
  }
}

/** An answer that is no event stream: JSON, sound, pictures. Its usage is read where it is JSON. */
function watchWhole({ core, passing, started, close }: Passage, headers: readonly string[]): Watch {
  const { host } = core
  const { deadline } = started
  const json = headerOf(headers, 'content-type')?.includes('json') ? createJsonWatch() : null
  const finish = (ending: Ending) => {
    deadline.stop()
    close(ending)
  }
  deadline.began(host.now())
  return {
    chunk(bytes) {
      deadline.touch(host.now())
      json?.chunk(bytes)
      return bytes
    },
    end() {
      const isGood = passing.status < 400
      const keepsState = isGood && json !== null && STATEFUL.test(passing.endpoint)
      const outcome = isGood ? 'ok' : passing.status < 500 ? 'client_error' : 'upstream_error'
      finish({
        outcome,
        usage: isGood ? (json?.usage() ?? null) : null,
        state: keepsState ? json.id() : null,
      })
      return null
    },
    fail(given) {
      const failure = started.broken() ?? given
      const isTimeout = failure.kind.endsWith('_timeout')
      if (failure.kind === 'aborted') finish({ outcome: 'left', usage: null })
      else finish({ outcome: isTimeout ? 'timeout' : 'truncated', usage: null, failure })
      // Only a broken connection can't be taken for a whole answer.
      return null
    },
    leave() {
      finish({ outcome: 'left', usage: null })
    },
  }
}

/** Endpoints whose answers name something that stays on the worker. */
const STATEFUL = /^\/v1\/(responses|conversations|batches|files)$/

const codeOf = (failure: UpstreamFailure): string =>
  failure.kind.endsWith('_timeout') ? failure.kind : 'worker_died'

function sentenceOf(failure: UpstreamFailure): string {
  if (failure.kind.endsWith('_timeout')) return failure.message
  return 'The worker broke off before its answer was complete.'
}

function joined(first: Uint8Array | null, second: Uint8Array): Uint8Array {
  if (first === null) return second
  const bytes = new Uint8Array(first.length + second.length)
  bytes.set(first)
  bytes.set(second, first.length)
  return bytes
}
