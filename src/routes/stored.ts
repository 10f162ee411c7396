// GET, DELETE, cancel, input_items … of a stored response, conversation, batch or file: they go to the worker that holds it.
import type { Core } from '../core.ts'
import { decoded } from '../openai/call.ts'
import { inference } from './inference.ts'

/** `kind` is the collection in the path, e.g. `responses`. */
export function storedState(core: Core, request: Request, kind: string, id: string): Promise<Response> {
  return inference(core, request, {
    name: `/v1/${kind}/{id}`,
    body: 'json',
    engines: null,
    builtOn: decoded(id),
  })
}
