// Reads the heads of workers' responses, and knows those that come again: engines say the same with each answer but for its length, the
// time, and perhaps an id.
import { isNamed } from '../../../src/forward/names.ts'
import type { HeaderList } from '../../../src/host.ts'
import { differing, formOf, type HeadForm } from './head-form.ts'
import { HOP_BY_HOP, parseHead, type ResponseHead } from './head.ts'

/** So many heads are known, of all workers together. */
const MOST = 8
/** So many that differ in their values alone are. A further one makes them one, in which those values may be any. */
const MOST_ALIKE = 2
/** Longer heads are not remembered, bytes. */
const LONGEST = 4096

interface Known {
  readonly form: HeadForm
  readonly method: string
  /** All its headers, as they came first. */
  readonly raw: HeaderList
  /** As it came last. */
  head: ResponseHead
}

/**
 * Reads heads as `parseHead` does, but one that comes again only once; to parse it would cost 3 % of a 1 KB call. What it gives is
 * shared: nobody may change it.
 */
export class HeadReader {
  /** The last one that came again is the first. */
  #known: Known[] = []

  /** The head that the bytes begin with; null where it is not whole yet. Throws as `parseHead` does. */
  read(bytes: Buffer, method: string): ResponseHead | null {
    return this.again(bytes, bytes.length, method) ?? this.#parse(bytes, method)
  }

  /** The head that `end` bytes begin with, where it is known, and the last one of its answer. */
  again(bytes: Buffer, end: number, method: string): ResponseHead | null {
    const known = this.#known
    for (let i = 0; i < known.length; i++) {
      const one = known[i]!
      if (one.method !== method || !one.form.standsIn(bytes, end, 0)) continue
      if (i > 0) {
        known[i] = known[0]!
        known[0] = one
      }
      return refresh(one, bytes)
    }
    return null
  }

  #parse(bytes: Buffer, method: string): ResponseHead | null {
    const end = bytes.indexOf('\r\n\r\n')
    if (end < 0) return null
    const text = bytes.toString('latin1', 0, end + 4)
    const { raw, status, size, headers, framing, reusable, keepAlive } = parseHead(text, method)
    // One shape for all, parsed or not.
    const head = { status, size, headers, framing, reusable, keepAlive }
    // Another one follows a head of 1xx.
    if (end <= LONGEST && status >= 200) this.#learn(text.slice(0, end), { method, raw, head })
    return head
  }

  #learn(text: string, { method, raw, head }: Omit<Known, 'form'>): void {
    const { status, headers, framing } = head
    const isLong = raw.some((name, i) => i % 2 === 0 && isNamed(name, 'content-length'))
    // A length that says nothing of what follows.
    if (isLong !== (framing.kind === 'length')) return
    const alike = this.#known.filter(
      (one) => one.method === method && one.head.status === status && diff(one.raw, raw) !== null,
    )
    const isMerging = alike.length >= MOST_ALIKE
    const free = isMerging ? alike.flatMap((one) => [...one.form.free, ...diff(one.raw, raw)!]) : []
    const form = formOf(text, { lines: raw, told: headers, free: new Set(free) })
    if (form === null) return
    if (isMerging) this.#known = this.#known.filter((one) => !alike.includes(one))
    else if (this.#known.length === MOST) this.#known.pop()
    this.#known.push({ form, method, raw, head })
  }
}

/** The head as it came now. */
function refresh(one: Known, bytes: Buffer): ResponseHead {
  const { form, head } = one
  const { framing, status, reusable, keepAlive } = head
  const length = framing.kind === 'length' ? framing.length : 0
  const headers = form.fill(head.headers, length, bytes)
  if (headers === head.headers && form.size === head.size) return head
  const isOther = framing.kind === 'length' && length !== form.length
  one.head = {
    status,
    size: form.size,
    headers,
    framing: isOther ? { kind: 'length', length: form.length } : framing,
    reusable,
    keepAlive,
  }
  return one.head
}

function diff(one: HeaderList, other: HeaderList): number[] | null {
  return differing(one, other, isBound)
}

/** Another value would have to be read, or is told to nobody. */
function isBound(name: string): boolean {
  const lower = name.toLowerCase()
  return lower === 'content-type' || HOP_BY_HOP.has(lower)
}
