// How a program listens: settings that cannot work together. What is called by its platform has no use for them.
import { conflict, type Check } from './combinations.ts'
import { isLoopback, parseAddress } from './urls.ts'

const listening: Check = (config, isSet) => [
  config.tlsCert !== undefined &&
    config.tlsKey === undefined &&
    conflict('tlsCert', 'needs tlsKey too: give both to serve HTTPS, or neither'),
  config.tlsKey !== undefined &&
    config.tlsCert === undefined &&
    conflict('tlsKey', 'needs tlsCert too: give both to serve HTTPS, or neither'),
  config.socket !== undefined &&
    isSet('port') &&
    conflict('socket', 'cannot go with port: leave one of them out'),
  config.socket !== undefined &&
    isSet('host') &&
    conflict('socket', 'cannot go with host: leave one of them out'),
  config.socket !== undefined &&
    config.threads > 1 &&
    conflict(
      'threads',
      'cannot go with socket: threads share a port, but no Unix socket; give a port, or leave threads out',
    ),
  /\/|^[^:]*:\d+$|\s|\]:/.test(config.host) &&
    conflict(
      'host',
      `expected an address like 0.0.0.0 or ::, got ${JSON.stringify(config.host)}; the port goes into port`,
    ),
]

const admin: Check = (config) => {
  if (config.adminListen === undefined || /^unix:\/./.test(config.adminListen)) return []
  const address = parseAddress(config.adminListen)
  if (!address)
    return [
      conflict(
        'adminListen',
        `expected HOST:PORT, e.g. 127.0.0.1:8001, or unix:/path, got ${JSON.stringify(config.adminListen)}`,
      ),
    ]
  const isSame =
    config.socket === undefined &&
    address.port !== 0 &&
    address.port === config.port &&
    overlap(address.host, config.host)
  return [
    isSame && conflict('adminListen', 'is the address of host and port already: take another port'),
    config.adminKey === undefined &&
      !isLoopback(address.host) &&
      conflict(
        'adminListen',
        'is open to other machines and needs adminKey: set one, or listen on 127.0.0.1',
      ),
  ]
}

const overlap = (a: string, b: string): boolean => a === b || isAny(a) || isAny(b)
const isAny = (host: string): boolean => host === '0.0.0.0' || host === '::' || host === '[::]'

const metrics: Check = ({ metricsListen }) => [
  metricsListen !== undefined &&
    !parseAddress(metricsListen) &&
    conflict(
      'metricsListen',
      `expected HOST:PORT, e.g. 127.0.0.1:29000, got ${JSON.stringify(metricsListen)}`,
    ),
]

/** For `findConflicts`. */
export const listeningChecks: readonly Check[] = [listening, admin, metrics]
