// Watches the decode engine's stream go by: what only the prefill engine knew is put into it, and its end is the other leg's too.
import type { UpstreamFailure, Watch } from '../host.ts'
import { join } from '../openai/bytes.ts'
import { SseSplitter } from '../openai/sse.ts'
import { mayTell, type Told } from './told.ts'

/** The prefill leg, as the decode leg's answer goes by. */
export interface Partner {
  /** What the prefill engine told; null: nothing, or not yet. */
  told(): Told | null
  /** The stream may hold something that only the prefill engine knows. */
  readonly merges: boolean
  /** The first token came: whatever happens to the prefill leg does no harm any more. */
  began(): void
  /** The answer is over; unless it came to its end, the prefill leg is over too. */
  over(isWhole: boolean): void
}

const decoder = new TextDecoder()
const LF = 0x0a

const endsEvent = (bytes: Uint8Array): boolean => bytes.at(-1) === LF && bytes.at(-2) === LF

/** `inner`: sees the stream as the client gets it. */
export function watchPair(inner: Watch, partner: Partner): Watch {
  const splitter = new SseSplitter()
  const merged = (bytes: Uint8Array): Uint8Array | null => {
    // Most chunks are whole events without anything to merge.
    if (!splitter.isHolding && endsEvent(bytes) && !mayTell(decoder.decode(bytes))) return bytes
    const told = partner.told()
    const events = splitter.push(bytes).map((event) => told?.mergeEvent(event) ?? event)
    return events.length === 0 ? null : join(events)
  }
  return {
    chunk(bytes) {
      if (!partner.merges) return inner.chunk(bytes)
      const events = merged(bytes)
      return events === null ? null : inner.chunk(events)
    },
    mayPassUnseen: () => !partner.merges && inner.mayPassUnseen?.() === true,
    end() {
      const rest = splitter.end()
      const last = rest === null ? null : inner.chunk(rest)
      const end = inner.end()
      partner.over(true)
      return both(last, end)
    },
    fail(failure: UpstreamFailure) {
      const rest = splitter.end()
      const last = rest === null ? null : inner.chunk(rest)
      const end = inner.fail(failure)
      partner.over(false)
      return both(last, end)
    },
    leave() {
      inner.leave()
      partner.over(false)
    },
  }
}

function both(first: Uint8Array | null, second: Uint8Array | null): Uint8Array | null {
  if (first === null || second === null) return second ?? first
  return join([first, second])
}
