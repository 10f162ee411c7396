// The flags of uvicorn, which starts Distributed-LLM-Router; the router itself has none.
import type { DialectFlag } from '../flag.ts'

const PYTHON = 'there is no Python to load or to reload'
const SERVER = 'the server in front is Fetchway’s own'

export const flags: readonly DialectFlag[] = [
  { names: ['--host'], initial: '0.0.0.0', release: '127.0.0.1', about: 'address to listen on' },
  { names: ['--port'], kind: 'integer', about: 'port to listen on; none: GATEWAY_PORT, or 8000' },
  { names: ['--uds'], about: 'unix socket to listen on' },
  { names: ['--workers'], kind: 'integer', about: 'processes that serve; here threads with one state' },
  {
    names: ['--log-level'],
    choices: ['critical', 'error', 'warning', 'info', 'debug', 'trace'],
    about: 'least level that is logged',
  },
  { names: ['--ssl-keyfile'], about: 'PEM file: serve HTTPS' },
  { names: ['--ssl-certfile'], about: 'PEM file: serve HTTPS' },
  {
    names: ['--timeout-graceful-shutdown'],
    kind: 'integer',
    about: 'how long streams may finish at the end, s',
  },
  {
    names: ['--limit-concurrency'],
    kind: 'integer',
    about: 'calls in flight in all',
    inert: 'MAX_CONCURRENT_REQUESTS says that',
  },
  { names: ['--env-file'], about: 'file of variables, stronger than the others' },
  { names: ['--reload'], kind: 'switch', about: 'restart when the program changes', inert: PYTHON },
  { names: ['--app-dir'], about: 'where the program is', inert: PYTHON },
  { names: ['--loop'], about: 'event loop', inert: PYTHON },
  { names: ['--http'], about: 'HTTP implementation', inert: SERVER },
  { names: ['--lifespan'], about: 'start-up protocol', inert: PYTHON },
  { names: ['--interface'], about: 'program interface', inert: PYTHON },
  { names: ['--backlog'], kind: 'integer', about: 'connections that may wait', inert: SERVER },
  { names: ['--timeout-keep-alive'], kind: 'integer', about: 'idle connections', inert: SERVER },
  { names: ['--access-log', '--no-access-log'], kind: 'switch', about: 'log each request', inert: SERVER },
  {
    names: ['--proxy-headers', '--no-proxy-headers'],
    kind: 'switch',
    about: 'trust forwarded addresses',
    inert: SERVER,
  },
  { names: ['--forwarded-allow-ips'], about: 'who may forward addresses', inert: SERVER },
]
