// Passes an answer to the client as it comes and notices its first token, its end, its death, and the client's leave.
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { Started } from '../execute/attempted.ts'
import { watchPair } from '../execute/pair-watch.ts'
import type { Answer, Host, Watch } from '../host.ts'
import { idNameOf } from '../openai/call.ts'
import { createJsonWatch } from '../openai/watch.ts'
import { closing, passingOf, type Ending, type Passage } from './closing.ts'
import { answerHeaders, headerOf, hideOrigin, isEventStream, withoutHeader } from './headers.ts'
import { takeReport, type Reported } from './load-report.ts'
import { StreamRelay } from './stream-relay.ts'

/** The client's Response. From here on the call ends by its Watch, once. */
export function relay(core: Core, admitted: Admitted, started: Started): Response {
  const { call, stripUsage } = admitted
  const { upstream, plan } = started
  const passing = passingOf(core, admitted, started)
  core.recorder?.began(admitted.ask)
  const report: Reported = core.config.orca
    ? takeReport(upstream.headers, call.headers)
    : { load: null, headers: upstream.headers }
  const isStream = isEventStream(upstream.headers) && upstream.status < 400
  const ours = [
    idNameOf(core),
    call.requestId,
    'x-fetchway-worker',
    plan.worker.id,
    'x-fetchway-decision',
    plan.decision,
    ...(core.surface?.mark?.(plan) ?? []),
  ]
  if (plan.kind === 'pair') ours.push('x-fetchway-prefill', plan.prefill.id)
  // An event stream may end with other bytes than the engine announced.
  const isRead = started.whole !== undefined || started.partner?.merges
  const own = isStream || isRead ? withoutHeader(report.headers, 'content-length') : report.headers
  const isRedirect = upstream.status >= 300 && upstream.status < 400
  const engine = isRedirect ? hideOrigin(own, plan.worker.url) : own
  const answer = { status: upstream.status, headers: answerHeaders(engine, ours) }
  if (plan.waited > 0) core.instruments.queueWait.with().observe(plan.waited / 1000)
  call.release()
  const passage = { core, passing, started, load: report.load, close: closing(core, passing) }
  const watch = isStream ? new StreamRelay(passage, stripUsage) : watchWhole(passage, upstream.headers)
  if (started.whole !== undefined) return relayRead(core.host, started.whole, answer, watch)
  return core.host.relay(upstream, answer, started.partner ? watchPair(watch, started.partner) : watch)
}

/** An answer that is here to its last byte. */
function relayRead(host: Host, bytes: Uint8Array, answer: Answer, watch: Watch): Response {
  watch.chunk(bytes)
  watch.end()
  const isBare = answer.status === 204 || answer.status === 205 || answer.status === 304
  const list = [...answer.headers, 'content-length', String(bytes.length)]
  if (host.reply && !isBare) return host.reply({ status: answer.status, headers: list }, bytes)
  const headers = new Headers()
  for (let i = 0; i < list.length; i += 2) headers.append(list[i] as string, list[i + 1] as string)
  return new Response(isBare ? null : (bytes as Uint8Array<ArrayBuffer>), { status: answer.status, headers })
}

/** An answer that is no event stream: JSON, sound, pictures. Its usage is read where it is JSON. */
function watchWhole({ core, passing, started, load, close }: Passage, headers: readonly string[]): Watch {
  const { host } = core
  const { deadline } = started
  const json = headerOf(headers, 'content-type')?.includes('json') ? createJsonWatch() : null
  const finish = (ending: Ending) => {
    deadline.stop()
    close(ending)
  }
  deadline.began(host.now())
  core.surface?.follow?.({ kind: 'first', id: passing.id, at: host.now() }, core)
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
        load: isGood ? load : null,
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
