// What listens for clients: here the thread that everything else runs in, too.
import { createApp, type App } from '../../src/app.ts'
import type { Config } from '../../src/config/schema.ts'
import type { LogEvent } from '../../src/host.ts'
import type { NodeHost } from './host.ts'
import { serve, type ServeOptions } from './http.ts'

/** What a front is made of. */
export interface Foundation {
  readonly config: Config
  readonly host: NodeHost
  readonly options: ServeOptions
  readonly log: (event: LogEvent) => void
}

/** A listener, or several on one port, with an app behind it. */
export interface Front {
  readonly url: string
  /** The app in this thread: it answers for all. */
  readonly app: App
  /** Tells the other threads what the app has taken over already. */
  adopt(config: Config): void
  drain(): void
  /** Calls that have not ended yet. */
  inFlight(): number | Promise<number>
  /** Ends the calls under way, and tells their clients. */
  cut(): void
  /** Waits at most so many milliseconds for what is under way, then ends it. */
  close(ms: number): Promise<void>
}

/** Serves in this thread. */
export async function serveHere({ config, host, options }: Foundation): Promise<Front> {
  const app = createApp(config, host)
  await app.start()
  const served = await serve((request) => app.answer(request), options)
  return {
    url: served.url,
    app,
    adopt() {},
    drain: () => served.drain(),
    inFlight: () => app.inFlight(),
    cut: () => app.cut(),
    close: (ms) => served.close(ms),
  }
}
