// Bearer tokens that others vouch for: URLs that answer 200 to those they know.
import type { Config } from '../config/schema.ts'
import type { Host } from '../host.ts'
import { Refusal } from '../openai/errors.ts'
import { isSame, keyOf } from './auth.ts'
import { askOutside } from './outside.ts'

/** Milliseconds that a token counts as good, and as bad, before somebody is asked again. */
const GOOD_FOR = 300_000
const BAD_FOR = 10_000
/** Tokens that are remembered. */
const MOST = 10_000

interface Remembered {
  readonly isGood: boolean
  readonly until: number
}

export class Validation {
  readonly #host: Pick<Host, 'fetch' | 'timer' | 'now'>
  readonly #known = new Map<string, Remembered>()
  readonly #asking = new Map<string, Promise<boolean>>()

  constructor(host: Pick<Host, 'fetch' | 'timer' | 'now'>) {
    this.#host = host
  }

  /** Lets a request in, or throws 401. Nothing is asked where no URLs are configured. */
  async check({ apiKeyValidationUrls: urls, adminKey }: Config, headers: Headers): Promise<void> {
    if (urls.length === 0) return
    const token = keyOf(headers)
    if (token !== null && adminKey !== undefined && isSame(token, adminKey)) return
    if (token === null || token === '')
      throw new Refusal(401, 'missing_api_key', 'Send an API key as "Authorization: Bearer KEY".')
    if (!(await this.#isGood(urls, token)))
      throw new Refusal(401, 'invalid_api_key', 'This API key is not known to those who vouch for keys here.')
  }

  #isGood(urls: readonly string[], token: string): boolean | Promise<boolean> {
    const known = this.#known.get(token)
    if (known && known.until > this.#host.now()) return known.isGood
    const asking = this.#asking.get(token) ?? this.#ask(urls, token).finally(() => this.#asking.delete(token))
    this.#asking.set(token, asking)
    return asking
  }

  /** One that says 200 is enough. An answer that nobody gave is no verdict, and is not remembered. */
  async #ask(urls: readonly string[], token: string): Promise<boolean> {
    const asked = await Promise.all(urls.map((url) => askOutside(this.#host, url, token)))
    const isGood = asked.some(({ status }) => status === 200)
    const isVerdict = isGood || asked.every(({ status }) => status > 0 && status < 500)
    if (isVerdict) this.#remember(token, isGood)
    return isGood
  }

  #remember(token: string, isGood: boolean): void {
    this.#known.delete(token)
    const oldest = this.#known.size >= MOST ? this.#known.keys().next().value : undefined
    if (oldest !== undefined) this.#known.delete(oldest)
    this.#known.set(token, { isGood, until: this.#host.now() + (isGood ? GOOD_FOR : BAD_FOR) })
  }
}
