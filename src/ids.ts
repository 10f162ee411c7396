// Ids that are unique over all routers: chance once, then a count. Two bare random numbers a call would cost more than the routing does.
import type { Host } from './host.ts'

export interface Ids {
  /** Of a call and what is decided of it. */
  readonly decision: () => string
  /** Of a request whose client named none. */
  readonly request: () => string
  /** Of a chat's answer that no engine made. */
  readonly chat: () => string
}

/** The makers of one app. */
export function makeIds({ random }: Pick<Host, 'random'>): Ids {
  const chance = () =>
    Math.floor(random() * 36 ** 8)
      .toString(36)
      .padStart(8, '0')
  const start = chance() + chance()
  return { decision: maker(`d-${start}`), request: maker(`req-${start}`), chat: maker(`chatcmpl-${start}`) }
}

/** Counts up behind `start`, in base 36. */
function maker(start: string): () => string {
  let count = 0
  return () => start + (count++).toString(36).padStart(4, '0')
}
