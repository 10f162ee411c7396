// A call whose body was changed.
import type { Call } from '../openai/call.ts'
import { scanTop } from '../openai/scan.ts'

/** The call with another JSON body. @throws BodyError for bytes that are no JSON object */
export function withBody(call: Call, bytes: Uint8Array): Call {
  const top = scanTop(bytes)
  return {
    ...call,
    body: { kind: 'json', bytes, top },
    model: top.string('model') ?? call.model,
    isStream: top.boolean('stream') === true,
  }
}
