// ZeroMQ's endpoint names: tcp://HOST:PORT.
import type { SocketAddress } from './wire.ts'

const WILDCARDS: ReadonlySet<string> = new Set(['*', '0.0.0.0', '::', ''])

/** Reads `tcp://HOST:PORT` (IPv6 in brackets, `*` for all addresses). Throws an Error that says what to write. */
export function parseEndpoint(text: string): SocketAddress {
  const match = /^tcp:\/\/(\[[^\]]*\]|[^:/[\]]*):(\d{1,5})$/i.exec(text.trim())
  const port = Number(match?.[2])
  if (!match || port > 65535) throw new Error(`${JSON.stringify(text)} is no tcp://HOST:PORT`)
  return { host: match[1]!.replace(/^\[(.*)\]$/, '$1'), port }
}

/** The inverse of `parseEndpoint`. */
export const endpointOf = ({ host, port }: SocketAddress): string =>
  `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`

/** It stands for every address of a machine. */
export const isWildcard = ({ host }: SocketAddress): boolean => WILDCARDS.has(host)
