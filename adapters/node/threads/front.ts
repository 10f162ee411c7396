// Serves by several threads that share one port; the actors, the control plane's own listener and the signals stay here.
import { createApp } from '../../../src/app.ts'
import type { Peers } from '../../../src/host.ts'
import type { Foundation, Front } from '../front.ts'
import type { ServeOptions } from '../http.ts'
import { Crew } from './crew.ts'
import { createCells, sharedTally } from './tally.ts'
import type { Start } from './thread.ts'

/** A front with its threads. */
export interface ThreadedFront extends Front {
  readonly crew: Crew
}

/** Starts the threads. Rejects when they can't listen. */
export async function serveByThreads({ config, host, options, log }: Foundation): Promise<ThreadedFront> {
  const cells = createCells(config.threads + 1)
  const peers: Peers = { live: () => crew.inFlight(), metrics: (own) => crew.metrics(own) }
  const app = createApp(config, { ...host, peers, buffered: sharedTally(cells, config.threads) })
  const { recorder, tunnels } = host
  const recording = recorder?.recording
  const recordSalt = recording?.salt ?? null
  const start = { config, cells, listen: travelling(options), isTerminal: process.stderr.isTTY, recordSalt }
  const crew = new Crew({ start, actors: host, tunnels, app, log, record: recording?.write })
  await app.start()
  try {
    const url = await crew.start(config.port)
    return {
      url,
      app,
      crew,
      adopt: (next) => crew.adopt(next),
      drain: () => crew.drain(),
      inFlight: () => crew.inFlight(),
      cut: () => crew.cut(),
      close: (ms) => crew.close(ms),
    }
  } catch (error) {
    await crew.close(0)
    throw error
  }
}

/** The options without what can't leave this thread. A client's TLS session goes on in whichever thread it comes to next. */
function travelling(options: ServeOptions): Start['listen'] {
  const { tls } = options
  const shared = tls && {
    tls: { ...tls, ticketKeys: Buffer.from(crypto.getRandomValues(new Uint8Array(48))) },
  }
  return { ...options, ...shared, onError: undefined }
}
