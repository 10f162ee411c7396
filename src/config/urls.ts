// One spelling for each worker URL, so that the same worker is never two.

const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i

/**
 * The URL of a worker as everything else uses it: `gpu1:8000` gets `http://`, trailing slashes and a trailing `/v1`
 * go, host names are lower-case, default ports are left out; `unix:/path` is a socket.
 * @throws Error whose message says what to write instead; it never repeats credentials.
 */
export function normalizeUrl(text: string): string {
  const trimmed = text.trim()
  if (trimmed === '') throw new Error('a worker URL is empty: write http://HOST:PORT')
  if (/\s/.test(trimmed))
    throw new Error(`${quote(trimmed)} has a space in it: write each worker URL by itself`)
  if (/^unix:/i.test(trimmed)) return normalizeSocket(trimmed)
  if (/^[./~]/.test(trimmed))
    throw new Error(
      `${quote(trimmed)} is a path: write unix:/absolute/path for a socket, or http://HOST:PORT`,
    )
  const url = parse(trimmed)
  if (url.username !== '' || url.password !== '' || trimmed.includes('@')) {
    throw new Error(
      'a worker URL must not hold credentials: leave out the part before @ and set apiKey of the worker (or workerApiKey)',
    )
  }
  if (url.search !== '' || url.hash !== '' || /[?#]/.test(trimmed)) {
    throw new Error(
      `${quote(trimmed)} has a query or fragment: a worker URL is only http://HOST:PORT and a base path`,
    )
  }
  if (url.port === '0') throw new Error(`${quote(trimmed)} has port 0, where nothing can listen`)
  return (
    url.origin +
    url.pathname
      .replace(/\/+$/, '')
      .replace(/(^|\/)\/*v1$/, '')
      .replace(/\/+$/, '')
  )
}

/**
 * Reads `URL[,BOOTSTRAP_PORT]`, the form in which prefill workers are given; `none` in its place is null: told to nobody.
 * @throws Error as `normalizeUrl`, or when the port is none.
 */
export function parsePrefill(text: string): {
  readonly url: string
  readonly bootstrapPort?: number | null
} {
  const comma = text.lastIndexOf(',')
  if (comma < 0) return { url: normalizeUrl(text) }
  const port = text.slice(comma + 1).trim()
  const url = normalizeUrl(text.slice(0, comma))
  if (port === 'none') return { url, bootstrapPort: null }
  if (port === '') return { url }
  const bootstrapPort = Number(port)
  if (!/^\d+$/.test(port) || bootstrapPort < 1 || bootstrapPort > 65535) {
    throw new Error(
      `${quote(port)} is no bootstrap port: write URL,PORT with a port from 1 to 65535, or the URL alone`,
    )
  }
  return { url, bootstrapPort }
}

/** True for addresses that only this machine can reach: localhost, 127.x.x.x, ::1, with or without brackets. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[|\]$/g, '')
  return (
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    /^127\.\d+\.\d+\.\d+$/.test(name) ||
    name === '::1' ||
    name.startsWith('::ffff:127.')
  )
}

/**
 * Reads `HOST:PORT` (IPv6 in brackets), or `:PORT` and `PORT` for this machine only.
 * @returns null when the text is no such address.
 */
export function parseAddress(text: string): { readonly host: string; readonly port: number } | null {
  const match = /^(?:(\[[0-9a-f:.%a-z]+\]|[^:[\]/\s]*):)?(\d{1,5})$/i.exec(text.trim())
  if (!match || Number(match[2]) > 65535) return null
  return { host: (match[1] || '127.0.0.1').replace(/^\[|\]$/g, ''), port: Number(match[2]) }
}

function normalizeSocket(text: string): string {
  const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '')
  if (!path.startsWith('/') || path.startsWith('//') || path === '/') {
    throw new Error(`${quote(text)} needs an absolute path: write unix:/run/engine.sock`)
  }
  return `unix:${path}`
}

function parse(text: string): URL {
  const scheme = SCHEME.exec(text)?.[0].toLowerCase()
  if (scheme !== undefined && scheme !== 'http://' && scheme !== 'https://') {
    throw new Error(`${scheme} is not spoken to workers: write http://, https:// or unix:/path`)
  }
  if (scheme === undefined && /^[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*$/i.test(text)) {
    throw new Error(`${quote(text)} looks like IPv6: put the address in brackets, e.g. [::1]:8000`)
  }
  try {
    return new URL(scheme === undefined ? `http://${text}` : text)
  } catch {
    throw new Error(unreadable(text))
  }
}

function unreadable(text: string): string {
  if (text.includes('@')) return 'a worker URL could not be read: write http://HOST:PORT'
  const port = /^(?:\w+:\/\/)?[^/]*:(\d+)(?:[/?#]|$)/.exec(text)?.[1]
  if (port !== undefined && Number(port) > 65535)
    return `${quote(text)} has port ${port}, which is too large: ports end at 65535`
  return `${quote(text)} is no worker URL: write http://HOST:PORT`
}

const quote = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}…` : text)
