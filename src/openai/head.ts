// What is read of a request's head: once where the same head comes again, as it does on the connections of most clients.
import type { Config } from '../config/schema.ts'
import type { Core } from '../core.ts'
import type { Surface } from '../dialects/dialect.ts'
import { readHeaders, type ClientHeaders } from '../forward/headers.ts'

export interface HeadFacts {
  /** Where the router's part in them comes from: another configuration reads another thing. */
  readonly config: Config
  readonly surface: Surface | null
  readonly headers: ClientHeaders
  /** The header that carries the request's id to the worker and back. */
  readonly idName: string
  /** The id that the client gave, where it could travel in a header. */
  readonly requestId: string | null
  /** Of the first of the configured headers that has something. */
  readonly session: string | null
  /** `x-priority` as a number, which may be none (NaN); null: there is no such header. */
  readonly priority: number | null
  readonly encoding: string | null
  /** The content-type, or nothing. */
  readonly type: string
}

/** A place for them, which a host keeps with a head that comes again: the same to the byte, but for the length of the body. */
export interface HeadMemory {
  facts?: HeadFacts
}

/** A request whose host knows heads that come again. */
interface Remembered extends Request {
  readonly memory?: HeadMemory | null
}

/** Reads the head of a request, or remembers what was read of the same one before. */
export function headOf(core: Core, request: Remembered): HeadFacts {
  const { memory } = request
  if (!memory) return readHead(core, request.headers)
  const { facts } = memory
  if (facts !== undefined && facts.config === core.config && facts.surface === core.surface) return facts
  return (memory.facts = readHead(core, request.headers))
}

function readHead({ config, surface }: Pick<Core, 'config' | 'surface'>, headers: Headers): HeadFacts {
  const idName = idNameOf({ config, surface })
  const isOurs = config.apiKeys.length > 0 || config.apiKeyValidationUrls.length > 0
  const priority = headers.get('x-priority')
  return {
    config,
    surface,
    headers: readHeaders(headers, idName, { isOurs, adminKey: config.adminKey }),
    idName,
    requestId: givenId(headers, config),
    session: firstOf(headers, config.sessionHeaders),
    priority: priority === null ? null : Number(priority),
    encoding: headers.get('content-encoding'),
    type: headers.get('content-type') ?? '',
  }
}

/** The header that carries the request's id to the worker and back. */
export const idNameOf = ({
  config,
  surface,
}: Pick<Core, 'config'> & Partial<Pick<Core, 'surface'>>): string =>
  surface?.idName ?? config.requestIdHeaders[0] ?? 'x-request-id'

/** The id that the client gave under one of the names, or a new one. An id that could not travel in a header is replaced. */
export function requestIdOf(
  headers: Headers,
  core: Pick<Core, 'config' | 'host' | 'ids' | 'surface'>,
): string {
  return givenId(headers, core.config) ?? newIdOf(core)
}

/** A new id, as the dialect makes them. */
export function newIdOf(core: Pick<Core, 'config' | 'host' | 'ids' | 'surface'>): string {
  return core.surface?.makeId?.(core) ?? core.ids.request()
}

function givenId(headers: Headers, { requestIdHeaders: names }: Config): string | null {
  // By index: over a frozen array the iterator is a call a step.
  for (let i = 0; i < names.length; i++) {
    const value = headers.get(names[i]!)
    if (value && value.length <= 256) return value
  }
  return null
}

function firstOf(headers: Headers, names: readonly string[]): string | null {
  for (let i = 0; i < names.length; i++) {
    const value = headers.get(names[i]!)
    if (value) return value
  }
  return null
}
