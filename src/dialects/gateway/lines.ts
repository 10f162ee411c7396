// A log line for each request, in the words of the Rust routers' middleware.
import type { Core } from '../../core.ts'
import type { LogEvent } from '../../host.ts'
import { pathname, pathOf } from '../../openai/target.ts'

export interface Lines {
  /** A request is here. */
  began(core: Core, request: Request): void
  /** Its answer has its head. Microseconds until then are its `latency`. */
  ended(core: Core, request: Request, response: Response): void
}

const ORDER: readonly LogEvent['level'][] = ['debug', 'info', 'warn', 'error']

/**
 * Tells of each request when its answer begins, and on `debug` when it came, too. Answers that are well are told at the level
 * `usual`; those that are not at `warn` (the client's fault) and `error` (ours), or all of them on `debug` where that is usual.
 */
export function createLines(usual: 'info' | 'debug'): Lines {
  const begun = new WeakMap<Request, number>()
  const levelOf = (status: number): LogEvent['level'] =>
    usual === 'debug' || status < 400 ? usual : status < 500 ? 'warn' : 'error'
  return {
    began(core, request) {
      if (!isShown(core, usual)) return
      begun.set(request, core.host.now())
      if (!isShown(core, 'debug')) return
      core.host.log({ level: 'debug', message: 'started processing request', ...spanOf(request) })
    },
    ended(core, request, response) {
      const level = levelOf(response.status)
      if (!isShown(core, level)) return
      const { status, headers } = response
      const startedAt = begun.get(request)
      core.host.log({
        level,
        message: SENTENCES[Math.floor(status / 100)] ?? 'finished processing request',
        ...spanOf(request),
        request_id: headers.get('x-request-id') ?? '',
        status_code: status,
        ...(startedAt !== undefined && { latency: Math.round((core.host.now() - startedAt) * 1000) }),
      })
    },
  }
}

const SENTENCES: Readonly<Record<number, string>> = {
  4: 'request failed with client error',
  5: 'request failed with server error',
}

/** The query may hold keys. */
const spanOf = ({ method, url }: Request) => ({ method, uri: pathname(pathOf(url)) })

const isShown = ({ config: { logLevel } }: Core, level: LogEvent['level']): boolean =>
  logLevel !== 'silent' && ORDER.indexOf(level) >= ORDER.indexOf(logLevel)
