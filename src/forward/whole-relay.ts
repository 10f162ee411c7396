// Passes on an answer that is no event stream: JSON, sound, pictures. Its usage is read where it is JSON.
import type { UpstreamFailure, Watch } from '../host.ts'
import { createJsonWatch, type JsonWatch } from '../openai/json-watch.ts'
import type { Ending, Passage } from './closing.ts'
import type { Listener } from './deadline.ts'
import { headerOf } from './headers.ts'

/** Endpoints whose answers name something that stays on the worker. */
const STATEFUL = new Set(['/v1/responses', '/v1/conversations', '/v1/batches', '/v1/files'])

export class WholeRelay implements Watch, Listener {
  lastAt = 0
  readonly #passage: Passage
  readonly #json: JsonWatch | null
  /** Its first bytes were passed on. */
  #hasBegun = false

  constructor(passage: Passage) {
    const { core, passing, started } = passage
    const now = core.host.now()
    this.#passage = passage
    const type = headerOf(started.upstream.headers, 'content-type')
    this.#json = type === 'application/json' || type?.includes('json') ? createJsonWatch() : null
    started.deadline.began(now, this)
    core.surface?.follow?.({ kind: 'first', id: passing.id, at: now }, core)
  }

  chunk(bytes: Uint8Array): Uint8Array {
    // The clock was read a moment ago for the first ones, which are mostly all.
    if (this.#hasBegun) this.lastAt = this.#passage.core.host.now()
    this.#hasBegun = true
    this.#json?.chunk(bytes)
    return bytes
  }

  end(): null {
    const { passing, load } = this.#passage
    if (passing.status >= 400) {
      this.#finish({ outcome: passing.status < 500 ? 'client_error' : 'upstream_error', usage: null })
      return null
    }
    const json = this.#json
    const state = json !== null && STATEFUL.has(passing.endpoint) ? json.id() : null
    this.#finish({ outcome: 'ok', usage: json === null ? null : json.usage(), state, load })
    return null
  }

  /** Only a broken connection can't be taken for a whole answer: so there is nothing to add. */
  fail(given: UpstreamFailure): null {
    const failure = this.#passage.started.broken() ?? given
    const isTimeout = failure.kind.endsWith('_timeout')
    if (failure.kind === 'aborted') this.leave()
    else this.#finish({ outcome: isTimeout ? 'timeout' : 'truncated', usage: null, failure })
    return null
  }

  leave(): void {
    this.#finish({ outcome: 'left', usage: null })
  }

  #finish(ending: Ending): void {
    this.#passage.started.deadline.stop()
    this.#passage.close(ending)
  }
}
