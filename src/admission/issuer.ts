// The published keys of an issuer of tokens: fetched when needed, kept for a while.
import type { Host } from '../host.ts'
import type { PublishedKey } from './jwt.ts'
import { askOutside } from './outside.ts'

/** Milliseconds that keys are kept, and the shortest time between two fetches, whatever tokens name. */
const FRESH = 600_000
const PAUSE = 10_000

export class Issuer {
  readonly #host: Pick<Host, 'fetch' | 'timer' | 'now'>
  readonly #issuer: string
  readonly #jwksUri: string | undefined
  #keys: readonly PublishedKey[] = []
  #fetchedAt = -Infinity
  #triedAt = -Infinity

  /** `jwksUri` undefined: found by OpenID discovery. */
  constructor(host: Pick<Host, 'fetch' | 'timer' | 'now'>, issuer: string, jwksUri: string | undefined) {
    this.#host = host
    this.#issuer = issuer
    this.#jwksUri = jwksUri
  }

  /** Keys of that id, or all without one; an id that is unknown makes it look again, for keys are rotated. */
  async keysFor(kid: string | undefined): Promise<readonly PublishedKey[]> {
    const now = this.#host.now()
    const known = this.#of(kid)
    const isStale = now - this.#fetchedAt > FRESH
    if ((known.length > 0 && !isStale) || now - this.#triedAt < PAUSE) return known
    this.#triedAt = now
    const uri = this.#jwksUri ?? (await this.#discover())
    const keys = uri === null ? null : listed(await this.#json(uri))
    if (keys === null) return known
    this.#keys = keys
    this.#fetchedAt = now
    return this.#of(kid)
  }

  #of(kid: string | undefined): readonly PublishedKey[] {
    return kid === undefined
      ? this.#keys
      : this.#keys.filter((key) => key.kid === kid || key.kid === undefined)
  }

  async #discover(): Promise<string | null> {
    const found = await this.#json(`${this.#issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`)
    const uri = (found as { jwks_uri?: unknown } | null)?.jwks_uri
    return typeof uri === 'string' && URL.canParse(uri) ? uri : null
  }

  async #json(url: string): Promise<unknown> {
    if (!URL.canParse(url)) return null
    const asked = await askOutside(this.#host, url)
    if (asked.status !== 200 || !('text' in asked)) return null
    try {
      return JSON.parse(asked.text)
    } catch {
      // A page of something else.
      return null
    }
  }
}

function listed(answer: unknown): readonly PublishedKey[] | null {
  const keys = (answer as { keys?: unknown } | null)?.keys
  return Array.isArray(keys) ? (keys as PublishedKey[]) : null
}
