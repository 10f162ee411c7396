// Requests by certificates of one's own, files and the environment, for finding workers; Deno and Bun have them in the same way.
import { readFile } from 'node:fs/promises'
import type { RequestOptions } from 'node:https'
import { Readable } from 'node:stream'
import type { Outside, OutsideTls } from '../../src/host.ts'
import { http, https } from './builtins.ts'

export interface NodeOutside extends Outside {
  /** Ends what is under way: a watch would keep the process alive. */
  close(): void
}

/** Each request has a connection of its own: they are few, and one that is dead must not be met again. */
export function createOutside(): NodeOutside {
  const closed = new AbortController()
  return {
    fetch: (url, { headers, signal, tls }) =>
      send(url, {
        headers,
        agent: false,
        signal: AbortSignal.any([signal, closed.signal]),
        ...tlsOptions(tls),
      }),
    env,
    files: {
      read: (path) => readFile(path, 'utf8'),
      parseYaml: async (text) => (await import('yaml')).parse(text) as unknown,
    },
    close: () => closed.abort(),
  }
}

/** A variable that Deno was not allowed to read is taken as not set. */
function env(name: string): string | undefined {
  try {
    return process.env[name]
  } catch {
    return undefined
  }
}

function send(url: string, options: RequestOptions): Promise<Response> {
  const { request } = url.startsWith('https:') ? https() : http
  return new Promise((resolve, reject) => {
    const sent = request(url, options, (answer) => {
      const { statusCode: status = 0, headers } = answer
      const list = Object.entries(headers).filter(
        (one): one is [string, string] => typeof one[1] === 'string',
      )
      const isEmpty = status === 204 || status === 304
      if (isEmpty) answer.resume()
      const body = isEmpty ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>)
      resolve(new Response(body, { status, headers: list }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

function tlsOptions({ ca, cert, key, serverName, isUnchecked }: OutsideTls): RequestOptions {
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(serverName !== undefined && { servername: serverName }),
    ...(isUnchecked && { rejectUnauthorized: false }),
  }
}
