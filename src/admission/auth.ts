// Who is calling: API keys of clients and of the control plane, compared in constant time.
import type { Config } from '../config/schema.ts'
import { parseAddress } from '../config/urls.ts'
import { hashText } from '../hash.ts'
import { Refusal } from '../openai/errors.ts'
import type { Allowance } from '../actors/limiter.ts'

/** Who is calling, after authentication. */
export interface Caller {
  readonly tenant: string
  /** Of its key: a request may ask for a later place, never for an earlier one. Null: whatever the request asks for. */
  readonly priority: number | null
  /** Null: no limits. */
  readonly allowance: Allowance | null
}

/** Who calls where no keys are asked for. */
export const ANYBODY: Caller = { tenant: 'default', priority: null, allowance: null }

/** True when both texts are equal; takes the same time wherever they differ. */
export function isSame(a: string, b: string): boolean {
  let difference = a.length ^ b.length
  for (let i = 0; i < b.length; i++) difference |= a.charCodeAt(i % (a.length || 1)) ^ b.charCodeAt(i)
  return difference === 0
}

/** The key in `Authorization: Bearer …` or `x-api-key` (Anthropic's clients), or null. */
export function keyOf(headers: Headers): string | null {
  const authorization = headers.get('authorization')
  if (authorization !== null && /^bearer /i.test(authorization)) return authorization.slice(7).trim()
  return headers.get('x-api-key')
}

/** The caller of a request. Throws 401 when keys are configured and none of them was sent. */
export function authenticate(config: Config, headers: Headers): Caller {
  if (config.apiKeys.length === 0) return ANYBODY
  const sent = keyOf(headers)
  if (sent === null) {
    throw new Refusal(
      401,
      'missing_api_key',
      'This router needs an API key: send it as "Authorization: Bearer KEY".',
    )
  }
  let found: ApiKey | undefined
  // Every key is compared, so that the time tells nothing of where it stands.
  for (const candidate of config.apiKeys) if (isSame(sent, candidate.key)) found = candidate
  if (!found)
    throw new Refusal(
      401,
      'invalid_api_key',
      'This API key is not known here: check it, or ask who runs this router.',
    )
  return callerOf(found)
}

type ApiKey = Config['apiKeys'][number]

const tenantOf = ({ tenant, key }: ApiKey): string =>
  tenant ?? `key-${hashText(key).toString(36).slice(0, 6)}`

function callerOf(found: ApiKey): Caller {
  const tenant = tenantOf(found)
  const { requestsPerMinute, tokensPerMinute } = found
  const isLimited = requestsPerMinute > 0 || tokensPerMinute > 0
  const allowance = isLimited ? { tenant, requestsPerMinute, tokensPerMinute } : null
  return { tenant, priority: found.priority ?? null, allowance }
}

/** The caller that a tenant is; null when no key has that name any more. */
export function callerNamed(config: Config, tenant: string): Caller | null {
  if (config.apiKeys.length === 0) return ANYBODY
  const found = config.apiKeys.find((key) => tenantOf(key) === tenant)
  return found ? callerOf(found) : null
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i

export const isLoopback = (host: string): boolean => LOOPBACK.test(host)

/** A browser sent it for a page from elsewhere. Reaching this machine's loopback is all that such a page needs to add a worker. */
export function isForeign(headers: Headers): boolean {
  const origin = headers.get('origin')
  const host = headers.get('host')
  if (origin === null || host === null) return false
  return !URL.canParse(origin) || new URL(origin).host !== host.toLowerCase()
}

/** Whether the control plane's listener is for this machine only. */
function isLocal({ adminListen, socket, host }: Config): boolean {
  if (adminListen === undefined) return socket !== undefined || isLoopback(host)
  return adminListen.startsWith('unix:') || isLoopback(parseAddress(adminListen)?.host ?? '')
}

/** Lets a request into the control plane, or throws: it is open only on a loopback listener without a key. */
export function authorizeAdmin(config: Config, headers: Headers): void {
  if (config.adminKey !== undefined) {
    const sent = keyOf(headers)
    if (sent !== null && isSame(sent, config.adminKey)) return
    throw new Refusal(
      401,
      'admin_key_required',
      'The control plane needs the admin key: send it as "Authorization: Bearer KEY".',
    )
  }
  if (isLocal(config)) {
    if (!isForeign(headers)) return
    throw new Refusal(
      403,
      'foreign_origin',
      'Without an admin key the control plane is not open to web pages of other origins: set one (--admin-key KEY).',
    )
  }
  throw new Refusal(
    403,
    'admin_closed',
    'The control plane is closed: set an admin key (--admin-key KEY), or listen on a loopback address.',
  )
}
