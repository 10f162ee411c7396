// Lets web pages of other origins read the answers (Fetch standard, "CORS protocol").

/** What a preflight may be remembered for, seconds. */
const MAX_AGE = '3600'

type Handler = (request: Request) => Promise<Response>

/**
 * Answers preflights itself and marks every other answer for the origins that are allowed (`*`: all). Credentials are never
 * allowed: keys travel in headers that a page has to set itself.
 */
export function withCors(origins: readonly string[], answer: Handler): Handler {
  const allowsAny = origins.includes('*')
  const allowed = (origin: string): string | null =>
    allowsAny ? '*' : origins.includes(origin) ? origin : null
  return async (request) => {
    const origin = request.headers.get('origin')
    const granted = origin === null ? null : allowed(origin)
    if (granted === null) return answer(request)
    if (request.method === 'OPTIONS' && request.headers.has('access-control-request-method'))
      return preflight(request, granted)
    const response = await answer(request)
    if (response.status === 101) return response
    response.headers.set('access-control-allow-origin', granted)
    response.headers.set('access-control-expose-headers', '*')
    if (granted !== '*') response.headers.append('vary', 'origin')
    return response
  }
}

function preflight({ headers }: Request, granted: string): Response {
  return new Response(null, {
    status: 204,
    headers: {
      'access-control-allow-origin': granted,
      'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
      // A star would leave out Authorization.
      'access-control-allow-headers': headers.get('access-control-request-headers') ?? '*',
      'access-control-max-age': MAX_AGE,
      vary: 'origin, access-control-request-headers',
    },
  })
}
