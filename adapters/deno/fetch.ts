// Deno's fetch, held back from sending a request a second time by itself.
import type { Send } from '../web/upstream.ts'
import { runtime } from './deno-types.ts'

/** Kept connections are used again for this long, ms: uvicorn closes them after 5 s. */
const KEPT = 4000

/** Makes the `fetch` of one host. Each worker may be tried as often as the router says, and no more often. */
export function createDenoFetch(): Send {
  const keeping = runtime.createHttpClient({ poolIdleTimeout: KEPT })
  // Nothing that is sent over a new connection is sent again.
  const fresh = runtime.createHttpClient({ poolMaxIdlePerHost: 0 })
  return (url, init, isOnce) => {
    // Deno repeats what broke on a kept connection, even at work, if it holds the bytes; those of a Blob it reads as it goes.
    const body = init.body instanceof Uint8Array ? { body: new Blob([init.body as BlobPart]) } : {}
    const client = { client: isOnce ? fresh : keeping }
    return fetch(url, { ...init, ...body, ...client })
  }
}
