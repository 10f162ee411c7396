// The functions of an operator's modules: what they are given, and what is made of their answers. Their errors break no call.
import type { Host, LogEvent } from '../host.ts'

/** Sees a request before it is routed. A Response is the answer, and no engine is asked. */
type PreRequest = (request: Request, body: Uint8Array, json: unknown) => unknown
/** Sees an answer when it is over. */
type PostRequest = (request: Request, response: Uint8Array) => unknown
/** Changes a body: text, bytes or a value that is written as JSON; nothing: as it came. */
type RewriteRequest = (body: string, model: string, endpoint: string) => unknown

/** Names as production-stack has them, and as JavaScript would. */
const NAMES = {
  pre: ['pre_request', 'preRequest'],
  post: ['post_request', 'postRequest'],
  rewrite: ['rewrite_request', 'rewriteRequest'],
  embed: ['embed'],
} as const

/** What a module exports. */
export type Exports = Readonly<Record<string, unknown>>

/**
 * One function of a module, bound to what it belongs to: of the export named, else of `default`, of the module itself, or of any
 * export that has it. Undefined: there is none.
 */
export function functionOf(
  exported: Exports,
  kind: keyof typeof NAMES,
  name?: string,
): ((...given: unknown[]) => unknown) | undefined {
  const places =
    name === undefined ? [exported['default'], exported, ...Object.values(exported)] : [exported[name]]
  for (const place of places) {
    if (kind === 'embed' && typeof place === 'function') return place as (...given: unknown[]) => unknown
    if (typeof place !== 'object' || place === null) continue
    for (const key of NAMES[kind]) {
      const found = (place as Record<string, unknown>)[key]
      if (typeof found === 'function') return (found as (...given: unknown[]) => unknown).bind(place)
    }
  }
  return undefined
}

/** The functions that see calls. */
export class Callbacks {
  readonly #host: Pick<Host, 'log' | 'after'>
  readonly #pre: PreRequest | undefined
  readonly #post: PostRequest | undefined

  /** @throws Error when the module has neither of them. */
  constructor(host: Pick<Host, 'log' | 'after'>, exported: Exports, { path, name }: ModulePath) {
    this.#host = host
    this.#pre = functionOf(exported, 'pre', name) as PreRequest | undefined
    this.#post = functionOf(exported, 'post', name) as PostRequest | undefined
    if (!this.#pre && !this.#post) throw new Error(missing(path, name, 'pre_request or post_request'))
  }

  /** The answer that a callback gives in place of the fleet; null: the request goes on. */
  async before(request: Request, body: Uint8Array): Promise<Response | null> {
    if (!this.#pre) return null
    try {
      const given = await this.#pre(request, body, jsonOf(body))
      if (given instanceof Response) return given
      if (given !== undefined && given !== null)
        this.#host.log({ level: 'warn', message: 'pre_request returned something that is no Response' })
    } catch (error) {
      this.#host.log(failed('pre_request', error))
    }
    return null
  }

  get seesAnswers(): boolean {
    return this.#post !== undefined
  }

  /** Runs beside everything else. */
  after(request: Request, answer: Uint8Array | null): void {
    if (answer === null) {
      this.#host.log({ level: 'warn', message: 'an answer was too long to be shown to post_request' })
      return
    }
    const run = async () => {
      try {
        await this.#post?.(request, answer)
      } catch (error) {
        this.#host.log(failed('post_request', error))
      }
    }
    this.#host.after(run())
  }
}

/** The function that changes bodies. */
export class Rewriter {
  readonly #host: Pick<Host, 'log'>
  readonly #rewrite: RewriteRequest

  /** @throws Error when the module has none. */
  constructor(host: Pick<Host, 'log'>, exported: Exports, { path, name }: ModulePath) {
    this.#host = host
    const found = functionOf(exported, 'rewrite', name) as RewriteRequest | undefined
    if (!found) throw new Error(missing(path, name, 'rewrite_request'))
    this.#rewrite = found
  }

  /** The new body; null: as it came. */
  async rewrite(body: Uint8Array, model: string, endpoint: string): Promise<Uint8Array | null> {
    try {
      const given = await this.#rewrite(new TextDecoder().decode(body), model, endpoint)
      if (given === undefined || given === null) return null
      if (given instanceof Uint8Array) return given
      return new TextEncoder().encode(typeof given === 'string' ? given : JSON.stringify(given))
    } catch (error) {
      this.#host.log(failed('rewrite_request', error))
      return null
    }
  }
}

/** Where a module is, and which of its exports is meant. */
export interface ModulePath {
  readonly path: string
  readonly name?: string
}

const PYTHON = /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$/
const SCRIPT = /\.[cm]?[jt]s$/

/** `PATH` or `PATH#EXPORT`. @throws Error for what names a Python object. `key`: who asks. */
export function modulePath(given: string, key: string): ModulePath {
  const [path = '', name] = given.split('#')
  if (PYTHON.test(path) && !SCRIPT.test(path))
    throw new Error(
      `${key}: ${given} names a Python object, which can't be loaded here: write it as an ES module and give its path (./callbacks.mjs, or ./callbacks.mjs#EXPORT)`,
    )
  return { path, ...(name && { name }) }
}

const missing = (path: string, name: string | undefined, what: string): string =>
  `${path}${name === undefined ? '' : `#${name}`} exports no ${what}`

const failed = (what: string, error: unknown): LogEvent => ({
  level: 'error',
  message: `${what} failed: the call goes on without it`,
  error,
})

function jsonOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body)) as unknown
  } catch {
    return null // a form, or sound
  }
}
