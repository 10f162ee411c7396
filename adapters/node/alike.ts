// Makes the look-alikes of Request, Response and Headers be such by `instanceof`, once somebody may ask. Not before: that loads the
// classes themselves, and with them all of `fetch`: 2 MB of heap, which every full collection walks.
import { HeaderView } from './headers.ts'
import { NodeRequest } from './request.ts'
import { NativeResponse } from './response.ts'
import { SocketResponse } from './upgrade.ts'

let isDone = false

/** To be called before any of them gets to code that is not the router's own, or to a dialect. */
export function makeAlike(): void {
  if (isDone) return
  isDone = true
  Object.setPrototypeOf(HeaderView.prototype, Headers.prototype)
  Object.setPrototypeOf(NodeRequest.prototype, Request.prototype)
  Object.setPrototypeOf(NativeResponse.prototype, Response.prototype)
  Object.setPrototypeOf(SocketResponse.prototype, Response.prototype)
}
