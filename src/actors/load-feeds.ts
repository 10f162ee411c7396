// Listens to engines that publish their load by themselves, so that nobody need ask them.
import { reportOf } from '../discovery/loads.ts'
import type { LoadSource } from '../engines/load-sources.ts'
import { PushedLoads, readLoadStat } from '../engines/load-stat.ts'
import { parseEndpoint } from '../zmtp/address.ts'
import { Subscriber } from '../zmtp/subscriber.ts'
import type { Clock, Sockets } from '../zmtp/wire.ts'
import type { ReportedLoad } from './ask.ts'
import type { Seat } from './seat.ts'
import { decodeMsgpack } from '../msgpack.ts'

interface Feed {
  readonly seat: Seat
  /** As they were when it began. */
  readonly sources: string
  readonly subscribers: readonly Subscriber[]
}

export interface FeedSeams extends Clock {
  readonly sockets?: Sockets
}

/** A message is a dozen numbers. */
const LIMITS = { bytes: 256, items: 256, keys: 256 }

export class LoadFeeds {
  readonly #seams: FeedSeams
  readonly #told: (seat: Seat, load: ReportedLoad) => void
  readonly #feeds = new Map<string, Feed>()

  constructor(seams: FeedSeams, told: (seat: Seat, load: ReportedLoad) => void) {
    this.#seams = seams
    this.#told = told
  }

  /** Follows those of the seats that publish, and no one else. Without sockets nobody is followed: they are asked. */
  meet(seats: readonly Seat[]): void {
    const { sockets } = this.#seams
    if (!sockets) return
    const wanted = new Map(seats.map((seat) => [seat.id, seat]))
    for (const [id, { seat, sources, subscribers }] of this.#feeds) {
      const now = wanted.get(id)
      if (now === seat && nameOf(seat) === sources) continue
      this.#feeds.delete(id)
      for (const subscriber of subscribers) subscriber.close()
    }
    for (const seat of seats) {
      const { loadSources = [] } = seat.member
      if (loadSources.length > 0 && !this.#feeds.has(seat.id))
        this.#feeds.set(seat.id, this.#follow(seat, loadSources, sockets))
    }
  }

  #follow(seat: Seat, sources: readonly LoadSource[], sockets: Sockets): Feed {
    const loads = new PushedLoads(sources.length)
    const subscribers = sources.map(({ rank, endpoint, topic }) => {
      const hear = (parts: readonly Uint8Array[]) => this.#hear(seat, loads, { rank, payload: parts.at(-1) })
      const hearer = { message: hear, up: () => undefined, down: () => undefined }
      const address = parseEndpoint(endpoint)
      return new Subscriber({ sockets, clock: this.#seams, address, topics: [topic], hearer })
    })
    // They never reject, and end with `close`.
    for (const subscriber of subscribers) void subscriber.start()
    return { seat, sources: nameOf(seat), subscribers }
  }

  /** Topic, number, load. What can't be read is passed over: a worker that tells nothing in time is asked. */
  #hear(
    seat: Seat,
    loads: PushedLoads,
    { rank, payload }: { rank: number; payload: Uint8Array | undefined },
  ): void {
    const stat = payload && readLoadStat(decode(payload))
    const now = this.#seams.now()
    const load = stat && loads.take(rank, stat, now)
    if (!load) return
    seat.pushedAt = now
    this.#told(seat, reportOf(seat, load, now))
  }
}

const nameOf = ({ member }: Seat): string => JSON.stringify(member.loadSources ?? [])

function decode(payload: Uint8Array): unknown {
  try {
    return decodeMsgpack(payload, LIMITS)
  } catch {
    return null
  }
}
