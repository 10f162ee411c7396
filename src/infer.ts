// The corridor of one inference request: read like a list, top to bottom.
import { admit } from './admission/admit.ts'
import { authenticate } from './admission/auth.ts'
import type { Core } from './core.ts'
import { attempt } from './forward/attempt.ts'
import type { Signal } from './host.ts'
import { relay } from './forward/relay.ts'
import type { Endpoint } from './openai/endpoints.ts'
import { readCall, type Call } from './openai/call.ts'

/** Answers an inference request. Throws a `Refusal` for what is the client's or the fleet's fault, `ClientLeft` when nobody waits. */
export async function infer(
  core: Core,
  request: Request,
  endpoint: Endpoint,
  { seen, signal }: { seen: (call: Call) => void; signal: Signal },
): Promise<Response> {
  const caller = core.callers.get(request) ?? authenticate(core.config, request.headers)
  const read = readCall(core, request, endpoint, { caller, signal })
  // Most bodies came with their heads, and an `await` costs as much as reading them does.
  const call = read instanceof Promise ? await read : read
  seen(call)
  if (core.extensions !== null) return core.extensions.infer(core, request, { call, caller, seen })
  const asked = admit(core, call, caller)
  // Most calls are let in without asking anybody.
  const admitted = asked instanceof Promise ? await asked : asked
  const started = await attempt(core, admitted)
  return relay(core, admitted, started)
}
