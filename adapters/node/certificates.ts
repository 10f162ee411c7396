// How workers are reached: the certificates, read once at the start (what is missing is told there), and how long connections are kept.
import { readFileSync } from 'node:fs'
import type { Config } from '../../src/config/schema.ts'
import type { Certificates } from './wire/origin.ts'

export interface Reach {
  readonly certificates?: Certificates
  /** How long an idle connection is kept at most, ms. */
  readonly idleMost?: number
}

export const reachOf = (config: Config): Reach => ({
  certificates: certificatesOf(config),
  idleMost: config.workerKeepAlive,
})

/** PEM texts of `workerTlsCert`, `workerTlsKey` and `workerTlsCa`. Throws where a file cannot be read. */
export function certificatesOf({ workerTlsCert, workerTlsKey, workerTlsCa }: Config): Certificates {
  const read = (path: string) => readFileSync(path, 'utf8')
  return {
    ...(workerTlsCert !== undefined && { cert: read(workerTlsCert) }),
    ...(workerTlsKey !== undefined && { key: read(workerTlsKey) }),
    ...(workerTlsCa.length > 0 && { ca: workerTlsCa.map(read) }),
  }
}
