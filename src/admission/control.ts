// Who may use the control plane: the admin key, keys with roles, tokens of an issuer, or whoever reaches a local listener.
import type { Core } from '../core.ts'
import { Refusal } from '../openai/errors.ts'
import { pathname, pathOf } from '../openai/target.ts'
import { authorizeAdmin, isSame, keyOf } from './auth.ts'
import { Issuer } from './issuer.ts'
import { isJwt, verifyJwt } from './jwt.ts'

/** Whoever was let in, for the audit log. */
interface Principal {
  readonly id: string
  readonly name: string
  readonly role: 'admin' | 'user'
}

/** By app, since keys that were fetched are kept. */
const issuers = new WeakMap<object, Issuer>()

/**
 * Runs a handler of the control plane for whoever may use it; throws 401 or 403 otherwise. `fallback` lets in where neither
 * keys with roles nor an issuer are configured. Each use is logged where that is asked for.
 */
export async function controlled(
  core: Core,
  request: Request,
  handle: () => Response | Promise<Response>,
  fallback: () => void = () => authorizeAdmin(core.config, request.headers),
): Promise<Response> {
  const { config } = core
  let who: Principal | null = null
  try {
    who = await identified(core, request, fallback)
    if (who.role !== 'admin')
      throw refused(403, 'admin_role_required', 'The control plane is for the role admin.')
    const response = await handle()
    if (config.audit) audit(core, request, who, response.status)
    return response
  } catch (error) {
    if (config.audit) audit(core, request, who, error instanceof Refusal ? error.status : 500)
    throw error
  }
}

async function identified(core: Core, { headers }: Request, fallback: () => void): Promise<Principal> {
  const { config } = core
  if (config.controlKeys.length === 0 && config.jwtIssuer === undefined) {
    fallback()
    return { id: 'admin', name: 'admin', role: 'admin' }
  }
  const sent = keyOf(headers)
  if (sent === null) throw refused(401, 'admin_key_required', 'The control plane needs a key or a token.')
  const found = principalOfKey(core, sent) ?? (isJwt(sent) ? await principalOfToken(core, sent) : null)
  if (found === null)
    throw refused(401, 'invalid_admin_key', 'This key or token is not good for the control plane.')
  return found
}

function principalOfKey({ config }: Core, sent: string): Principal | null {
  let found: Principal | null = null
  // Every key is compared, so that the time tells nothing of where it stands.
  for (const one of config.controlKeys) if (isSame(sent, one.key)) found = one
  if (config.adminKey !== undefined && isSame(sent, config.adminKey))
    found = { id: 'admin', name: 'admin', role: 'admin' }
  return found
}

async function principalOfToken(core: Core, token: string): Promise<Principal | null> {
  const { jwtIssuer: issuer, jwtAudience: audience, jwtJwksUri } = core.config
  if (issuer === undefined) return null
  const keys = issuers.get(core) ?? new Issuer(core.host, issuer, jwtJwksUri)
  issuers.set(core, keys)
  const verified = await verifyJwt(token, { issuer, audience }, (kid) => keys.keysFor(kid), core.host.now())
  if ('problem' in verified) return null
  const { claims } = verified
  const role = roleOf(core, claims)
  return role === null ? null : { id: textOf(claims['sub']), name: textOf(claims['name']), role }
}

const textOf = (claim: unknown): string => (typeof claim === 'string' ? claim : '')

/** The highest of the roles that a token names; null: none that means anything here. */
function roleOf({ config }: Core, claims: Readonly<Record<string, unknown>>): Principal['role'] | null {
  const { jwtRoles: roles, jwtRoleClaim: claim } = config
  const mapped = Object.keys(roles).length > 0
  const value = claims[claim] ?? claims['roles'] ?? claims['role'] ?? claims['groups']
  const named = (Array.isArray(value) ? (value as unknown[]) : [value]).map(String)
  const found = named.map((name) => (mapped ? (Object.hasOwn(roles, name) ? roles[name] : null) : name))
  return found.includes('admin') ? 'admin' : found.includes('user') ? 'user' : null
}

function audit({ host }: Core, { method, url }: Request, who: Principal | null, status: number): void {
  host.log({
    level: 'info',
    message: 'control plane',
    method,
    path: pathname(pathOf(url)),
    status,
    who: who?.id ?? 'unknown',
    name: who?.name ?? '',
    role: who?.role ?? '',
  })
}

const refused = (status: number, code: string, message: string) => new Refusal(status, code, message)
