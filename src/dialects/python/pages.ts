// The pages on which programs of FastAPI describe themselves: /openapi.json, and the same for people.
import { version } from '../../version.ts'
import type { DialectName } from '../names.ts'
import { answer, methodNotAllowed } from './fastapi.ts'
import { described, type Described, type Endpoint } from './described.ts'
import { schemas } from './schemas.ts'

const SPEC = '/openapi.json'
const PLAIN = '/redoc'

/** Such a page; undefined: the dialect's program has none, or it is another path. */
export function pageOf(name: DialectName, { method }: Request, path: string): Response | undefined {
  const program = described[name]
  if (!program || ![SPEC, PLAIN, program.docs].includes(path)) return undefined
  if (method !== 'GET' && method !== 'HEAD') return methodNotAllowed('GET')
  return path === SPEC ? answer(specOf(program)) : html(program)
}

/** OpenAPI 3.1. */
function specOf({ title, endpoints, isKeyed }: Described): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const endpoint of endpoints)
    (paths[endpoint.path] ??= {})[endpoint.method.toLowerCase()] = operationOf(endpoint)
  const securitySchemes = { HTTPBearer: { type: 'http', scheme: 'bearer' } }
  const used = Object.entries(schemas).filter(([name]) => endpoints.some(({ body }) => body === name))
  return {
    openapi: '3.1.0',
    info: { title, version },
    paths,
    components: {
      schemas: { ...Object.fromEntries(used), HTTPValidationError: schemas['HTTPValidationError'] },
      ...(isKeyed && { securitySchemes }),
    },
  }
}

function operationOf({ method, path, about, body, answers = 'application/json' }: Endpoint): object {
  const schema = { $ref: `#/components/schemas/${body ?? ''}` }
  const wrong = { $ref: '#/components/schemas/HTTPValidationError' }
  return {
    summary: about,
    operationId: `${path.replaceAll(/[^a-z0-9]+/gi, '_').replace(/^_/, '')}_${method.toLowerCase()}`,
    ...(body && { requestBody: { required: true, content: { 'application/json': { schema } } } }),
    responses: {
      200: { description: 'Successful Response', content: { [answers]: { schema: {} } } },
      ...(body && {
        422: { description: 'Validation Error', content: { 'application/json': { schema: wrong } } },
      }),
    },
  }
}

/** Loads nothing from elsewhere: a router may stand where there is no way out. */
function html({ title, endpoints }: Described): Response {
  const rows = endpoints.map(
    ({ method, path, about }) => `<tr><td>${method}</td><td><code>${path}</code></td><td>${about}</td></tr>`,
  )
  const page = `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>${title}</title>
<style>body{font:15px sans-serif;margin:2em}td{padding:.3em 1em .3em 0}</style></head>
<body><h1>${title}</h1><p><a href="${SPEC.slice(1)}">openapi.json</a></p>
<table>${rows.join('\n')}</table></body>
</html>
`
  return new Response(page, { headers: { 'content-type': 'text/html; charset=utf-8' } })
}
