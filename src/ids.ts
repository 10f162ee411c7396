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

const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz'

/**
 * Counts up behind `start`. Ids are cut from one text for 36 of them: engines look into such a piece as it is, while a string that
 * was put together is copied to be hashed and compared by calls out of compiled code, at each look-up.
 */
function maker(start: string): () => string {
  let count = 0
  let text = ''
  let width = 0
  return () => {
    const at = count % DIGITS.length
    if (at === 0) {
      const lead = start + (count / DIGITS.length).toString(36).padStart(3, '0')
      width = lead.length + 1
      text = ''
      for (const digit of DIGITS) text += lead + digit
    }
    count++
    return text.slice(at * width, (at + 1) * width)
  }
}
