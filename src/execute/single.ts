// The plain executor: one request to one worker.
import type { Plan } from '../actors/ask.ts'
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import { Deadline } from '../forward/deadline.ts'
import { headersFor, isEventStream } from '../forward/headers.ts'
import { nameInBody, nameInHeaders } from '../forward/kv-session.ts'
import { askLoad } from '../forward/load-report.ts'
import { rankInBody } from '../forward/rank.ts'
import { UpstreamFailure, type OutgoingBody, type Upstream } from '../host.ts'
import type { Attempted } from './attempted.ts'

/** Sends the call and waits for the first byte. Never throws: what went wrong is a value. `abort` ends the attempt. */
export async function single(
  core: Core,
  admitted: Admitted,
  plan: Plan,
  abort: AbortController,
): Promise<Attempted> {
  const { host, config } = core
  const { call } = admitted
  let broken: UpstreamFailure | null = null
  const rules = { firstToken: config.firstTokenTimeout, idle: config.idleTimeout, total: config.totalTimeout }
  let upstream: Upstream | null = null
  const sending = tracked(nameInBody(rankInBody(admitted, plan.worker), plan.worker, call))
  const deadline = new Deadline(host, rules, call.startedAt, (failure) => {
    broken = sending.isOpen() || upstream?.isHeld ? blameless(failure) : failure
    abort.abort(broken)
  })
  const sentAt = host.now()
  try {
    upstream = await host.fetch(plan.worker, {
      method: call.method,
      path: call.path,
      headers: nameInHeaders(
        askLoad(headersFor(plan.worker, call.headers, call.ids), plan),
        plan.worker,
        call,
      ),
      body: sending.body,
      connectTimeout: config.connectTimeout,
      isOnce: call.makesState,
      signal: abort.signal,
    })
    const first = await upstream.first()
    // Nothing at all is no stream: another worker may do better.
    if (first === null && upstream.status === 200 && isEventStream(upstream.headers)) {
      throw new UpstreamFailure('reset', 'the stream ended before its first byte')
    }
    return { kind: 'started', plan, upstream, deadline, sentAt, broken: () => broken }
  } catch (error) {
    deadline.stop()
    return { kind: 'failed', plan, failure: broken ?? failureOf(error) }
  }
}

/** A client that reads no further, or whose upload stalls, is no fault of the worker: no breaker may count it. */
export function blameless(failure: UpstreamFailure): UpstreamFailure {
  return failure.kind === 'total_timeout' ? failure : new UpstreamFailure('aborted', 'the client stood still')
}

/** The body, and whether a stream's end is still to come. */
function tracked(body: OutgoingBody): { readonly body: OutgoingBody; readonly isOpen: () => boolean } {
  if (body === null || !('getReader' in body)) return { body, isOpen: () => false }
  let isOpen = true
  const flush = () => {
    isOpen = false
  }
  return { body: body.pipeThrough(new TransformStream({ flush })), isOpen: () => isOpen }
}

function failureOf(error: unknown): UpstreamFailure {
  return error instanceof UpstreamFailure ? error : new UpstreamFailure('protocol', String(error))
}
