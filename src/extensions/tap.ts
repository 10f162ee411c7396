// Keeps a copy of an answer that goes by, for whoever wants to see the whole of it.
import type { UpstreamFailure, Watch } from '../host.ts'
import { join } from '../openai/bytes.ts'

/** Bytes of an answer that are kept at most; longer ones are seen by nobody. */
const MOST_SEEN = 64 * 1024 * 1024

/** Hears of an answer that went to its client whole, as it got it; null: it was too long to keep. */
export type Tap = (bytes: Uint8Array | null) => void

/** A watch that calls `tap` at a good end; answers that broke or were left are told to nobody. */
export function tapped(inner: Watch, tap: Tap, most = MOST_SEEN): Watch {
  let parts: Uint8Array[] | null = []
  let size = 0
  const keep = (bytes: Uint8Array | null): Uint8Array | null => {
    if (bytes === null || parts === null) return bytes
    size += bytes.length
    // What the host does with its buffer afterwards is its own affair.
    if (size <= most) parts.push(bytes.slice())
    else parts = null
    return bytes
  }
  return {
    chunk: (bytes) => keep(inner.chunk(bytes)),
    end() {
      const last = keep(inner.end())
      tap(parts === null ? null : join(parts))
      return last
    },
    fail: (failure: UpstreamFailure) => inner.fail(failure),
    leave: () => inner.leave(),
  }
}
