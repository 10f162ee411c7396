// Who may change workers where no keys with roles are configured: as in the originals, and no web page of another origin.
import { authenticate, isForeign } from '../../admission/auth.ts'
import { controlled } from '../../admission/control.ts'
import type { Core } from '../../core.ts'
import { Refusal } from '../../openai/errors.ts'

/** Runs a handler for whoever may. `isKeyed`: the key of clients is that of the control plane, too, where one is set. */
export function throughDoor(
  core: Core,
  request: Request,
  isKeyed: boolean,
  handle: () => Response | Promise<Response>,
): Promise<Response> {
  return controlled(core, request, handle, () => {
    if (isKeyed && core.config.apiKeys.length > 0) return void authenticate(core.config, request.headers)
    if (!isForeign(request.headers)) return
    const message = 'Without a key, web pages of other origins may not change workers.'
    throw new Refusal(403, 'foreign_origin', message)
  })
}
