// Certificates and keys from files; what is wrong with one is told under its key of the configuration.
import { readFileSync } from 'node:fs'
import type { Config } from '../../src/config/schema.ts'

/** What a PEM file has to hold. */
export type Pem = 'CERTIFICATE' | 'PRIVATE KEY'

/** The text of a PEM file. Throws `KEY: what is wrong with it`. */
export function readPem(key: string, path: string, wanted: Pem): string {
  const text = read(key, path)
  if (!new RegExp(`-----BEGIN [A-Z0-9 ]*${wanted}-----`).test(text))
    throw new Error(`${key}: there is no -----BEGIN ${wanted}----- in ${path}`)
  return text
}

/** The certificate and key that clients meet, where there are any. */
export function tlsOf({ tlsCert, tlsKey }: Pick<Config, 'tlsCert' | 'tlsKey'>): {
  tls?: { cert: string; key: string }
} {
  if (!tlsCert || !tlsKey) return {}
  return {
    tls: { cert: readPem('tlsCert', tlsCert, 'CERTIFICATE'), key: readPem('tlsKey', tlsKey, 'PRIVATE KEY') },
  }
}

function read(key: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const why = PROBLEMS[code]?.(path) ?? `${path} can't be read: ${String(error)}`
    throw new Error(`${key}: ${why}`, { cause: error })
  }
}

const PROBLEMS: Readonly<Record<string, (path: string) => string>> = {
  ENOENT: (path) => `there is no file ${path}`,
  EISDIR: (path) => `${path} is a folder: name the file in it`,
  EACCES: (path) => `${path} may not be read by this user`,
}
