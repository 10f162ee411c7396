// `fetchway engine`: one simulated engine on a port of its own.
import { createEngine, type Engine, type EngineOptions } from '../../src/simulator/engine.ts'
import { BOOTSTRAP_PORT } from '../../src/simulator/handover-bootstrap.ts'
import { KvPublisher } from '../../src/simulator/kv-publisher.ts'
import { LoadPublisher } from '../../src/simulator/load-publisher.ts'
import { serve, type Served } from '../node/http.ts'
import { createSockets } from '../node/sockets.ts'
import { createTimers } from '../web/timers.ts'
import type { Status } from './command.ts'
import { readOptions, type OptionTable } from './options.ts'

const OPTIONS: OptionTable = {
  engine: {
    kind: 'choice',
    choices: ['vllm', 'sglang', 'lmdeploy'],
    initial: 'vllm',
    about: 'whose API it speaks',
  },
  host: { kind: 'text', initial: '127.0.0.1', about: 'address to listen on' },
  port: { kind: 'integer', initial: 0, about: 'port to listen on; 0 takes a free one' },
  models: { kind: 'list', initial: [], about: 'model that it serves' },
  adapters: { kind: 'list', initial: [], about: 'LoRA adapter that it serves' },
  role: {
    kind: 'choice',
    choices: ['mixed', 'prefill', 'decode'],
    initial: 'mixed',
    about: 'its half of the work',
  },
  bootstrapPort: {
    kind: 'integer',
    about: 'port where decode engines meet it, where it is a prefill engine of SGLang [8998]',
  },
  apiKey: { kind: 'text', about: 'key that it asks for' },
  speed: {
    kind: 'number',
    initial: 1,
    about: 'factor on all its times; 0: no waiting',
  },
  prefillTokensPerSecond: { kind: 'number', about: 'prompt tokens that it computes in a second' },
  dpSize: { kind: 'integer', about: 'data-parallel ranks, each with a KV cache of its own' },
  blocks: { kind: 'integer', about: 'KV cache blocks' },
  blockTokens: { kind: 'integer', about: 'tokens of a KV cache block' },
  kvEvents: { kind: 'text', about: 'tcp://HOST:PORT to publish its KV events on' },
  kvEventsReplay: { kind: 'text', about: 'tcp://HOST:PORT where missed KV events can be asked for' },
  loadPublishEndpoint: {
    kind: 'text',
    about: 'tcp://HOST:PORT to publish its load on, as SGLang does beside its KV events',
  },
  fault: { kind: 'text', about: 'how it misbehaves: status=503;times=2' },
}

/** Serves until it is told to end. */
export async function engine(argv: readonly string[]): Promise<Status> {
  const read = readOptions('engine', OPTIONS, argv)
  if ('status' in read) return read.status
  const { host, port, models, adapters, kvEvents, kvEventsReplay, loadPublishEndpoint, ...rest } =
    read.options
  const options = {
    ...rest,
    ...(Array.isArray(models) && models.length > 0 ? { models } : {}),
    ...(Array.isArray(adapters) && adapters.length > 0 ? { adapters } : {}),
  } as unknown as EngineOptions
  const simulated = createEngine(options)
  const where = { host: String(host), port: Number(port) }
  const served = await serve((request) => simulated.fetch(request), { ...where, breaksOnError: true }).catch(
    (error: unknown) => refuseStart(error, where),
  )
  for (let rank = 0; typeof kvEvents === 'string' && rank < (options.dpSize ?? 1); rank++)
    await publish(simulated, { endpoint: kvEvents, replay: kvEventsReplay, rank })
  if (typeof loadPublishEndpoint === 'string') await publishLoad(simulated, loadPublishEndpoint)
  const meeting = await openBootstrap(simulated, options, where)
  process.stdout.write(`${options.engine} engine on ${served.url}\n`)
  const stop = () => void Promise.all([served.close(0), meeting?.close(0)]).then(() => process.exit(0))
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  return null
}

interface Where {
  readonly host: string
  readonly port: number
}

/**
 * The bootstrap server of SGLang's prefill engines, a listener of its own as there; null where it has none. One that nobody asked
 * for may be in another engine's way: that is told, for calls may name this engine's own port in its place.
 */
async function openBootstrap(
  simulated: Engine,
  { engine: kind, role, bootstrapPort }: EngineOptions,
  { host, port: own }: Where,
): Promise<Served | null> {
  const where = { host, port: bootstrapPort ?? BOOTSTRAP_PORT }
  if (kind !== 'sglang' || role !== 'prefill' || where.port === own) return null
  try {
    return await serve((request) => simulated.fetch(request), { ...where, breaksOnError: true })
  } catch (error) {
    const why = await reasonOf(error, where, '--bootstrap-port')
    if (bootstrapPort !== undefined) throw new Error(why, { cause: error })
    process.stderr.write(`no bootstrap server: ${why}\n`)
    return null
  }
}

/** Why it could not listen, in the words that the router has for it. */
async function reasonOf(error: unknown, where: Where, flag: string): Promise<string> {
  const { explainStart } = await import('./serve.ts')
  return explainStart(error, { ...where, socket: undefined }, (key) => (key === 'port' ? flag : `--${key}`))
}

async function refuseStart(error: unknown, where: Where): Promise<never> {
  throw new Error(await reasonOf(error, where, '--port'), { cause: error })
}

const publishing = () => ({
  sockets: createSockets(),
  clock: { now: () => performance.now(), random: Math.random, timer: createTimers().start },
})

async function publishLoad(simulated: Engine, endpoint: string): Promise<void> {
  const publisher = await LoadPublisher.bind(simulated, { ...publishing(), endpoint })
  process.stdout.write(`load on ${publisher.endpoint}\n`)
}

/** Each rank has a port of its own, counted on from the first. */
async function publish(
  simulated: Engine,
  { endpoint, replay, rank }: { endpoint: string; replay: unknown; rank: number },
): Promise<void> {
  const at = (text: string) => text.replace(/\d+$/, (port) => String(Number(port) && Number(port) + rank))
  const where = { endpoint: at(endpoint), rank, ...(typeof replay === 'string' && { replay: at(replay) }) }
  const publisher = await KvPublisher.bind(simulated, publishing(), where)
  process.stdout.write(`KV events on ${publisher.endpoint}\n`)
}
