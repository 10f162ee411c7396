// Who may come in besides the holders of plain keys, and by what the router proves itself to workers.
import * as z from './form.ts'
import { parseControlKey } from './control-key.ts'
import { flag } from './kinds.ts'

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
    id: z.string(),
    name: z.string(),
    role,
    key: z.string().check(z.minLength(1)),
  }),
])

export const guarding = {
  apiKeyValidationUrls: z.prefault(
    z.array(z.string().check(z.regex(/^https?:\/\/\S+$/, 'must be an http:// or https:// URL'))),
    [],
  ),
  controlKeys: z.prefault(z.array(controlKey), []),
  jwtIssuer: text(),
  jwtAudience: text(),
  jwtJwksUri: text(),
  jwtRoleClaim: z.prefault(z.string().check(z.minLength(1)), 'roles'),
  jwtRoles: z.prefault(z.record(z.string(), role), {}),
  audit: flag(false),
  workerTlsCert: text(),
  workerTlsKey: text(),
  workerTlsCa: texts(),
}
