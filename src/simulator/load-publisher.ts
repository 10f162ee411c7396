// SGLang's pushed load (--load-publish-endpoint): a PUB that tells each second how busy the simulated engine is.
import { encode } from '@msgpack/msgpack'
import { sequenceBytes } from '../prefix/kv-sequence.ts'
import { endpointOf, parseEndpoint } from '../zmtp/address.ts'
import { Publisher } from '../zmtp/binding.ts'
import type { Clock, Sockets } from '../zmtp/wire.ts'
import type { Engine } from './engine.ts'

const TOPIC = new TextEncoder().encode('load')
const INTERVAL = 1000

export class LoadPublisher {
  readonly endpoint: string
  readonly #publisher: Publisher
  readonly #engine: Engine
  readonly #clock: Clock
  #seq = 0
  #cancel = () => {}

  private constructor(engine: Engine, publisher: Publisher, { clock, endpoint }: Publishing) {
    this.#engine = engine
    this.#publisher = publisher
    this.#clock = clock
    this.endpoint = endpointOf({ ...parseEndpoint(endpoint), port: publisher.port })
    engine.load.announce(this.endpoint)
    this.#beat()
  }

  /** Begins to publish at `tcp://HOST:PORT` (port 0 takes a free one). Rejects when the address is taken. */
  static async bind(engine: Engine, on: Publishing): Promise<LoadPublisher> {
    const publisher = await Publisher.bind({ ...on, address: parseEndpoint(on.endpoint) })
    return new LoadPublisher(engine, publisher, on)
  }

  /** Tells the load now. */
  publish(): void {
    this.#publisher.publish([TOPIC, sequenceBytes(this.#seq++), encode(this.#engine.load.stat())])
  }

  close(): void {
    this.#cancel()
    this.#publisher.close()
  }

  #beat(): void {
    this.#cancel = this.#clock.timer(INTERVAL, () => {
      this.publish()
      this.#beat()
    })
  }
}

interface Publishing {
  readonly sockets: Sockets
  readonly clock: Clock
  readonly endpoint: string
}
