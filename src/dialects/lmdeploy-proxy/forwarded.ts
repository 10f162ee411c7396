// Tells engines who called, and where the client came in, as LMDeploy's proxy does.
import type { Call } from '../../openai/call.ts'

/** What runtimes with sockets of their own tell of a request besides. */
type Visited = Request & { readonly remoteAddress?: string | undefined }

/** Adds X-Forwarded-For, -Host and -Proto. What an outer proxy said is believed; who called it is added to its list. */
export function forwarded(call: Call, request: Request): Call {
  const { passed } = call.headers
  const { headers, url } = request
  const client = clientOf(request)
  const before = headers.get('x-forwarded-for')
  const chain = [before, client].filter((one) => one !== null).join(', ')
  const own: readonly (readonly [name: string, value: string])[] = [
    ['x-forwarded-for', chain],
    ['x-forwarded-host', headers.get('x-forwarded-host') ?? headers.get('host') ?? new URL(url).host],
    ['x-forwarded-proto', headers.get('x-forwarded-proto') ?? new URL(url).protocol.slice(0, -1)],
  ]
  const told = own.filter(([, value]) => value !== '')
  const names = new Set(told.map(([name]) => name))
  const others = passed.filter((_, i) => !names.has((passed[i - (i % 2)] as string).toLowerCase()))
  return { ...call, headers: { ...call.headers, passed: [...others, ...told.flat()] } }
}

/** The client's address; null where the runtime does not tell. */
function clientOf(request: Visited): string | null {
  const address = request.remoteAddress ?? request.headers.get('cf-connecting-ip')
  // An IPv4 client of a socket that takes both.
  return address?.replace(/^::ffff:(?=\d+\.)/, '') ?? null
}
