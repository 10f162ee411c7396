// Who may come in besides the holders of plain keys, and by what the router proves itself to workers.
import * as z from './form.ts'
import { parseControlKey } from './control-key.ts'
import { about, flag } from './kinds.ts'

const texts = () => z.prefault(z.array(z.string().check(z.minLength(1))), [])
const text = () => z.optional(z.string().check(z.minLength(1)))
const role = z.enum(['admin', 'user'])

const controlKey = z.union([
  z.pipe(
    z.string(),
    z.transform((written, ctx) => {
      const parsed = parseControlKey(written)
      if (parsed !== null) return parsed
      ctx.issues.push({
        code: 'custom',
        message: 'must be ID:NAME:ROLE:KEY, ROLE being admin or user',
        path: [],
      })
      return z.NEVER
    }),
  ),
  z.strictObject({
    id: about(z.string(), 'named in the audit log'),
    name: about(z.string(), 'of whoever holds it'),
    role: about(role, 'admin: may change things; user: may not'),
    key: about(z.string().check(z.minLength(1)), 'what is sent'),
  }),
])
export type ControlKey = z.Output<typeof controlKey>

export const guarding = {
  apiKeyValidationUrls: about(
    z.prefault(
      z.array(z.string().check(z.regex(/^https?:\/\/\S+$/, 'must be an http:// or https:// URL'))),
      [],
    ),
    'URLs that are asked, with its bearer token, for each caller: 200 lets it in; then every endpoint needs a token',
  ),
  controlKeys: about(
    z.prefault(z.array(controlKey), []),
    'keys of the control plane with roles: ID:NAME:ROLE:KEY, or objects in a file',
  ),
  jwtIssuer: about(text(), 'issuer of the JWTs that open the control plane'),
  jwtAudience: about(text(), 'audience that those JWTs must name'),
  jwtJwksUri: about(text(), 'where their keys are (JWKS); none: found by OpenID discovery from the issuer'),
  jwtRoleClaim: about(z.prefault(z.string().check(z.minLength(1)), 'roles'), 'claim that names roles'),
  jwtRoles: about(
    z.prefault(z.record(z.string(), role), {}),
    'role of the issuer: admin or user; none: admin and user as they are',
  ),
  audit: about(flag(false), 'log each use of the control plane: who, what, and how it ended'),
  workerTlsCert: about(text(), 'PEM file: shown to workers that ask for a client certificate (Node alone)'),
  workerTlsKey: about(text(), 'PEM file: its key'),
  workerTlsCa: about(
    texts(),
    'PEM file of an authority that workers are checked by, in place of the usual ones',
  ),
}
