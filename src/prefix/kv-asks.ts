// Which request made which blocks: by the session that engines stamp on their events, or by length where they stamp none.
import type { Block } from './kv-blocks.ts'
import { promptEnd, type Text } from './kv-texts.ts'

/** A call that a worker works on, or just did. */
export interface Asked {
  readonly id: string
  readonly workerId: string
  /** What the engine calls it in its events. */
  readonly stamp: string
  readonly path: Float64Array
  /** Canonical bytes of its prompt. */
  readonly bytes: number
  readonly openedAt: number
}

interface Entry extends Asked {
  /** Nobody else was at work on that worker with it. */
  isAlone: boolean
  /** Prompt tokens; 0 until it ended. */
  tokens: number
  cached: number
  /** It must have made blocks: longer by a block than what was cached. */
  isExpected: boolean
  endedAt: number
  /** The newest block that was made for it. */
  leaf: Block | null
  /** Other ends of what was made for it: answers that go on differently behind one prompt, or several prompts. */
  otherLeaves: Block[]
  /** Up to where it was attributed. */
  done: Block | null
}

/** A prompt found to belong to a chain. */
export interface Finding {
  readonly text: Text
  readonly last: Block
}

/** How a call ended. */
export interface AskedEnd {
  readonly now: number
  readonly tokens: number
  readonly cached: number
  /** Tokens of one of the worker's blocks. */
  readonly blockTokens: number
}

/** Events of a call may come so long after its end, ms. */
const GRACE = 5000
/** A call that lasts longer is not worth waiting for, if it was not lost, ms. */
const MOST_OPEN = 600_000
/** Newest blocks without a session that are remembered of each worker. */
const MOST_RECENT = 2048

/** Ends of one call that are remembered: of more it is as unclear which is whose. */
const MOST_LEAVES = 8

interface Recent {
  readonly block: Block
  readonly at: number
}

interface WorkerAsks {
  readonly open: Set<Entry>
  readonly ended: Set<Entry>
  readonly recent: Recent[]
  /** Its events name sessions. */
  hasSessions: boolean
}

export class KvAsks {
  readonly #entries = new Map<string, Entry>()
  readonly #workers = new Map<string, WorkerAsks>()

  /** Told of each call that was given up without a chain, though it must have made one, and of each that was attributed. */
  readonly #told: (workerId: string, isFound: boolean) => void

  constructor(told: (workerId: string, isFound: boolean) => void) {
    this.#told = told
  }

  /** Calls that are remembered. */
  get size(): number {
    return this.#entries.size
  }

  open(asked: Asked): void {
    const before = this.#entries.get(asked.id)
    if (before) this.#drop(before)
    const worker = this.#worker(asked.workerId)
    const entry: Entry = {
      ...asked,
      isAlone: worker.open.size === 0,
      tokens: 0,
      cached: 0,
      isExpected: false,
      endedAt: 0,
      leaf: null,
      otherLeaves: [],
      done: null,
    }
    if (worker.open.size === 1) for (const other of worker.open) other.isAlone = false
    worker.open.add(entry)
    this.#entries.set(asked.id, entry)
  }

  /** Blocks that a worker made, in order. Returns the prompts that are known to belong to chains by that. */
  stored(workerId: string, session: string | null, blocks: readonly Block[], now: number): Finding[] {
    const worker = this.#workers.get(workerId)
    const leaf = blocks.at(-1)
    if (!worker || !leaf || leaf.end < 0) return []
    if (session !== null) {
      worker.hasSessions = true
      const entry = this.#stamped(worker, session)
      if (!entry) return []
      grow(entry, leaf)
      return this.#found(entry)
    }
    for (const block of blocks) worker.recent.push({ block, at: now })
    if (worker.recent.length > 2 * MOST_RECENT) worker.recent.splice(0, worker.recent.length - MOST_RECENT)
    const findings: Finding[] = []
    for (const entry of worker.ended) findings.push(...this.#found(entry))
    return findings
  }

  /** A call ended. Harmless when nobody knows it. */
  end(id: string, { now, tokens, cached, blockTokens }: AskedEnd): Finding[] {
    const entry = this.#entries.get(id)
    if (!entry || entry.endedAt > 0) return []
    const worker = this.#worker(entry.workerId)
    entry.endedAt = now
    entry.tokens = tokens
    entry.cached = cached
    entry.isExpected = blockTokens > 0 && tokens - cached >= 2 * blockTokens
    worker.open.delete(entry)
    worker.ended.add(entry)
    return this.#found(entry)
  }

  /** Gives up what ended long ago, and what nobody ended. */
  sweep(now: number): void {
    for (const worker of this.#workers.values()) {
      for (const entry of worker.ended) {
        if (entry.endedAt + GRACE > now) break
        this.#drop(entry)
      }
      for (const entry of worker.open) {
        if (entry.openedAt + MOST_OPEN > now) break
        this.#remove(entry)
      }
    }
  }

  /** A worker is gone. */
  leave(workerId: string): void {
    const worker = this.#workers.get(workerId)
    for (const entry of worker?.open ?? []) this.#remove(entry)
    for (const entry of worker?.ended ?? []) this.#remove(entry)
    this.#workers.delete(workerId)
  }

  /** A worker's cache began anew: what was seen of it counts no more. */
  forget(workerId: string): void {
    const worker = this.#workers.get(workerId)
    if (!worker) return
    worker.recent.length = 0
    for (const entry of worker.ended) this.#remove(entry)
    for (const entry of worker.open) {
      entry.leaf = null
      entry.otherLeaves.length = 0
    }
  }

  #found(entry: Entry): Finding[] {
    if (entry.tokens === 0 || entry.bytes === 0) return []
    const leaf = entry.leaf ?? this.#byLength(entry)
    const last = leaf && promptEnd(leaf, entry.tokens)
    if (!last || last === entry.done) return []
    // Several prompts in one call: which text is whose, nobody tells.
    if (entry.otherLeaves.some((other) => promptEnd(other, entry.tokens) !== last)) {
      entry.isExpected = false
      return []
    }
    if (entry.done === null) this.#told(entry.workerId, true)
    entry.done = last
    const { path, bytes, tokens } = entry
    return [{ text: { path, bytes, tokens }, last }]
  }

  /**
   * Without sessions: the only chain as long as the prompt that was made while the call was there, if it must have made one. Where
   * others were at work beside it, only a call is sure of that which was told how much of it was cached.
   */
  #byLength(entry: Entry): Block | null {
    const worker = this.#worker(entry.workerId)
    if (worker.hasSessions || !entry.isExpected || (!entry.isAlone && entry.cached === 0)) return null
    let found: Block | null = null
    for (const { block, at } of worker.recent) {
      if (at < entry.openedAt || !endsPrompt(block, entry.tokens)) continue
      if (found !== null && found !== block) return null
      found = block
    }
    return found
  }

  /** The call of that session: the only one that is open, else the only one that ended just now. */
  #stamped(worker: WorkerAsks, session: string): Entry | null {
    return only(worker.open, session) ?? only(worker.ended, session)
  }

  #drop(entry: Entry): void {
    if (entry.isExpected && entry.done === null) this.#told(entry.workerId, false)
    this.#remove(entry)
  }

  #remove(entry: Entry): void {
    const worker = this.#workers.get(entry.workerId)
    worker?.open.delete(entry)
    worker?.ended.delete(entry)
    if (this.#entries.get(entry.id) === entry) this.#entries.delete(entry.id)
  }

  #worker(id: string): WorkerAsks {
    let worker = this.#workers.get(id)
    if (!worker)
      this.#workers.set(id, (worker = { open: new Set(), ended: new Set(), recent: [], hasSessions: false }))
    return worker
  }
}

function only(entries: ReadonlySet<Entry>, session: string): Entry | null {
  let found: Entry | null = null
  for (const entry of entries) {
    if (entry.stamp !== session) continue
    if (found) return null
    found = entry
  }
  return found
}

/** Takes a new end of a chain: most often what was the end goes on. */
function grow(entry: Entry, leaf: Block): void {
  if (entry.leaf !== null && !isBefore(entry.leaf, leaf) && entry.otherLeaves.length < MOST_LEAVES)
    entry.otherLeaves.push(entry.leaf)
  entry.leaf = leaf
}

function isBefore(block: Block, leaf: Block): boolean {
  let at: Block | null = leaf
  while (at !== null && at.end > block.end) at = at.parent
  return at === block
}

/** The last whole block of a prompt of so many tokens ends within the last block's length of it. */
function endsPrompt(block: Block, tokens: number): boolean {
  const length = block.end - (block.parent?.end ?? 0)
  return block.end <= tokens && block.end + length > tokens
}
