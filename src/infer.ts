// The corridor of one inference request: read like a list, top to bottom.
import { admit } from './admission/admit.ts'
import { authenticate } from './admission/auth.ts'
import type { Core } from './core.ts'
import { attempt } from './forward/attempt.ts'
import type { Signal } from './host.ts'
import { Soon } from './soon.ts'
import { relay } from './forward/relay.ts'
import type { Endpoint } from './openai/endpoints.ts'
import { readCall, type Call } from './openai/call.ts'

/** Who asks. */
export interface Asking {
  /** Tells that its client has left. */
  readonly signal: Signal
  /** Is told of the call as soon as it was read, and again where it became another one. */
  seen(call: Call): void
}

/**
 * Answers an inference request. Throws (or fails with) a `Refusal` for what is the client's or the fleet's fault, `ClientLeft` when
 * nobody waits.
 */
export function infer(core: Core, request: Request, endpoint: Endpoint, asking: Asking): Soon<Response> {
  const caller = core.callers.get(request) ?? authenticate(core.config, request.headers)
  return goOn(readCall(core, request, endpoint, { caller, signal: asking.signal }), (call) => {
    asking.seen(call)
    if (core.extensions !== null)
      return Soon.of(
        core.extensions.infer(core, request, { call, caller, seen: (other) => asking.seen(other) }),
      )
    return goOn(admit(core, call, caller), (admitted) => attempt(core, admitted, relay))
  })
}

/**
 * Goes on with what is here, or once it comes: most bodies came with their heads, and most calls are let in without asking anybody.
 * An `await` would cost as much as either.
 */
function goOn<T, R>(value: T | Promise<T>, next: (value: T) => Soon<R>): Soon<R> {
  return value instanceof Promise ? Soon.after(value, next) : next(value)
}
