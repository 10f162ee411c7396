// Lets web pages of other origins read the answers (Fetch standard, "CORS protocol").

/** What a preflight may be remembered for, seconds. */
const MAX_AGE = '3600'

type Handler = (request: Request) => Promise<Response>

/** What pages are told. */
export interface CorsRules {
  /** Status of the answer to a preflight. */
  readonly status: number
  readonly methods: string
  /** Request headers; absent: those that the page names. */
  readonly headers?: string
  /** Headers of answers that a page may read. */
  readonly exposed: string
  /** Every OPTIONS is taken for a preflight and answered, that of an origin which is not allowed without a grant. */
  readonly answersAll?: boolean
  /** Pages may send cookies, and whoever does is named in place of a star: as other routers have it. Ours are of no use to pages. */
  readonly withCredentials?: boolean
  /** Seconds for which a preflight may be remembered. */
  readonly maxAge?: string
}

const OWN: CorsRules = {
  status: 204,
  methods: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
  exposed: '*',
}

/**
 * Answers preflights itself and marks every other answer for the origins that are allowed (`*`: all). Credentials are not
 * allowed, unless the rules say so: keys travel in headers that a page has to set itself.
 */
export function withCors(origins: readonly string[], answer: Handler, rules: CorsRules = OWN): Handler {
  const allowsAny = origins.includes('*')
  const allowed = (origin: string): string | null =>
    allowsAny ? '*' : origins.includes(origin) ? origin : null
  return async (request) => {
    const origin = request.headers.get('origin')
    const granted = origin === null ? null : allowed(origin)
    if (request.method === 'OPTIONS') {
      if (rules.answersAll) return preflight(request, allowsAny ? '*' : granted, rules)
      const isAsking = request.headers.has('access-control-request-method')
      if (isAsking && granted !== null) return preflight(request, granted, rules)
    }
    if (granted === null) return answer(request)
    const response = await answer(request)
    if (response.status === 101) return response
    const isNamed = rules.withCredentials && request.headers.has('cookie')
    response.headers.set('access-control-allow-origin', isNamed ? (origin as string) : granted)
    response.headers.set('access-control-expose-headers', rules.exposed)
    if (rules.withCredentials) response.headers.set('access-control-allow-credentials', 'true')
    if (granted !== '*' || rules.withCredentials) response.headers.append('vary', 'Origin')
    return response
  }
}

function preflight(
  { headers }: Request,
  granted: string | null,
  { status, methods, headers: named, withCredentials, maxAge = MAX_AGE }: CorsRules,
): Response {
  const origin = withCredentials ? headers.get('origin') : granted
  return new Response(null, {
    status,
    headers: {
      ...(granted !== null && { 'access-control-allow-origin': origin ?? granted }),
      ...(withCredentials && { 'access-control-allow-credentials': 'true' }),
      'access-control-allow-methods': methods,
      // A star would leave out Authorization.
      'access-control-allow-headers': named ?? headers.get('access-control-request-headers') ?? '*',
      'access-control-max-age': maxAge,
      vary: 'origin, access-control-request-headers',
    },
  })
}
