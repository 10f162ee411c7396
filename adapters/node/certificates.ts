// How workers are reached: the certificates, read once at the start (what is missing is told there), and how long connections are kept.
import type { Config } from '../../src/config/schema.ts'
import { readPem } from '../web/pem.ts'
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

/** PEM texts of `workerTlsCert`, `workerTlsKey` and `workerTlsCa`. Throws where one is none. */
export function certificatesOf({ workerTlsCert, workerTlsKey, workerTlsCa }: Config): Certificates {
  return {
    ...(workerTlsCert !== undefined && { cert: readPem('workerTlsCert', workerTlsCert, 'CERTIFICATE') }),
    ...(workerTlsKey !== undefined && { key: readPem('workerTlsKey', workerTlsKey, 'PRIVATE KEY') }),
    ...(workerTlsCa.length > 0 && {
      ca: workerTlsCa.map((path) => readPem('workerTlsCa', path, 'CERTIFICATE')),
    }),
  }
}
