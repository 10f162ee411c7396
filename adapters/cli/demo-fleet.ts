// The demo's fleet: simulated engines of three kinds, each on a port of its own.
import { createEngine, type EngineOptions } from '../../src/simulator/engine.ts'
import { serve, type Served } from '../node/http.ts'

/** Which engine answered, told by the engine itself: headers of engines pass the router unchanged. */
export const ENGINE_HEADER = 'x-demo-engine'

export interface DemoEngine {
  readonly name: string
  readonly url: string
  readonly models: readonly string[]
  readonly role: 'mixed' | 'prefill' | 'decode'
  /** Inference calls that it is working on. */
  inFlight(): number
  /** Breaks all its connections and listens no more. */
  kill(): Promise<void>
  /** Listens again at the same address, with an empty cache. */
  revive(): Promise<void>
}

export const MODELS = { chat: 'llama-3.1-8b-instruct', other: 'qwen3-8b', embedding: 'bge-m3' } as const
/** A name that clients use, and the model behind it. */
export const ALIAS = { name: 'gpt-4o-mini', model: MODELS.chat } as const

/** What of an engine the demo says; the rest is the same for all. */
type Kind = Pick<EngineOptions, 'engine'> & {
  readonly name: string
  readonly models: readonly string[]
  readonly role?: DemoEngine['role']
}

const FLEET: readonly Kind[] = [
  { name: 'vllm-1', engine: 'vllm', models: [MODELS.chat, MODELS.embedding] },
  { name: 'vllm-2', engine: 'vllm', models: [MODELS.chat] },
  { name: 'sglang-1', engine: 'sglang', models: [MODELS.other] },
  { name: 'lmdeploy-1', engine: 'lmdeploy', models: [MODELS.other] },
]

/** Two engines of one kind compute the prompts, two others the answers. */
const pairsOf = (engine: EngineOptions['engine']): readonly Kind[] =>
  (['prefill', 'decode'] as const).flatMap((role) =>
    [1, 2].map((number) => ({
      name: `${engine}-${role}-${number}`,
      engine,
      role,
      models: [MODELS.chat, MODELS.other],
    })),
  )

/** A decode engine gives up after this (ms) when the engine that has its prompt is gone. */
const HANDOVER_TIMEOUT = 1000

/** Starts all engines on free ports of this machine. `pd`: the one kind of a fleet with prefill and decode engines. */
export async function startFleet(pd?: EngineOptions['engine']): Promise<DemoEngine[]> {
  const kinds = pd === undefined ? FLEET : pairsOf(pd)
  return Promise.all(
    kinds.map(async ({ name, engine, models, role = 'mixed' }) => {
      const options = { engine, role, models: [...models], speed: 1, handoverTimeout: HANDOVER_TIMEOUT }
      const member = new Member(name, options)
      await member.start(0)
      return member
    }),
  )
}

class Member implements DemoEngine {
  readonly name: string
  readonly models: readonly string[]
  readonly role: DemoEngine['role']
  url = ''
  readonly #options: EngineOptions
  #served: Served | null = null
  #inFlight = 0

  constructor(name: string, options: EngineOptions) {
    this.name = name
    this.models = options.models ?? []
    this.role = options.role ?? 'mixed'
    this.#options = options
  }

  async start(port: number): Promise<void> {
    const engine = createEngine(this.#options)
    const answer = async (request: Request): Promise<Response> => {
      const isCall = request.method === 'POST'
      if (isCall) this.#inFlight++
      try {
        const response = await engine.fetch(request)
        const headers = new Headers(response.headers)
        headers.set(ENGINE_HEADER, this.name)
        return new Response(response.body, { status: response.status, headers })
      } finally {
        if (isCall) this.#inFlight--
      }
    }
    this.#served = await serve(answer, { port, breaksOnError: true })
    this.url = this.#served.url
  }

  inFlight(): number {
    return this.#inFlight
  }

  async kill(): Promise<void> {
    await this.#served?.close(0)
    this.#served = null
  }

  async revive(): Promise<void> {
    await this.start(Number(new URL(this.url).port))
  }
}
