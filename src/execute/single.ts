// The plain executor: one request to one worker.
import type { Plan } from '../actors/ask.ts'
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import { Deadline } from '../forward/deadline.ts'
import { headersFor, isEventStream } from '../forward/headers.ts'
import { UpstreamFailure } from '../host.ts'
import type { Attempted } from './attempted.ts'

/** Sends the call and waits for the first byte. Never throws: what went wrong is a value. `abort` ends the attempt. */
export async function single(
  core: Core,
  { call, body }: Admitted,
  plan: Plan,
  abort: AbortController,
): Promise<Attempted> {
  const { host, config } = core
  let broken: UpstreamFailure | null = null
  const rules = { firstToken: config.firstTokenTimeout, idle: config.idleTimeout, total: config.totalTimeout }
  const deadline = new Deadline(host, rules, call.startedAt, (failure) => {
    broken = failure
    abort.abort(failure)
  })
  const sentAt = host.now()
  try {
    const upstream = await host.fetch(plan.worker, {
      method: call.method,
      path: call.path,
      headers: headersFor(plan.worker, call.headers, call.ids),
      body,
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

function failureOf(error: unknown): UpstreamFailure {
  return error instanceof UpstreamFailure ? error : new UpstreamFailure('protocol', String(error))
}
