// The program of a serving thread: the whole app and a listener on the shared port; the actors are in the thread that started it.
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import type { PoolView } from '../../../src/actors/pool-view.ts'
import { createApp } from '../../../src/app.ts'
import type { Config } from '../../../src/config/schema.ts'
import type { Host, LogEvent } from '../../../src/host.ts'
import type { Reading } from '../../../src/metrics/reading.ts'
import { installKernel } from '../../../src/kernel/wasm.ts'
import { Recorder } from '../../../src/replay/recorder.ts'
import { createTunnels } from '../../web/tunnels.ts'
import { reachOf } from '../certificates.ts'
import { createSeams, takeSocket, withTunnels } from '../host.ts'
import { serve, type Served, type ServeOptions } from '../http.ts'
import { createLog } from '../log.ts'
import { boundNursery } from '../nursery.ts'
import { replyByText } from '../text-response.ts'
import { remoteActors } from './home.ts'
import { Line, type Port } from './line.ts'
import { sharedTally } from './tally.ts'
import { tunnelsOver } from './tunnel-door.ts'

/** What a thread is started with. */
export interface Start {
  readonly config: Config
  readonly listen: Omit<ServeOptions, 'onError'> & { readonly onError: undefined }
  readonly cells: SharedArrayBuffer
  /** Its own one of `cells`. */
  readonly cell: number
  /** Whether the process's stderr is a terminal. */
  readonly isTerminal: boolean
  /** Null: nothing is recorded. */
  readonly recordSalt: Uint32Array | null
}

/** What the thread that started it can ask of it. */
export interface Orders {
  /** Returns where. */
  listen(port: number): Promise<Pick<Served, 'url' | 'port'>>
  adopt(config: Config): void
  drain(): void
  cut(): void
  inFlight(): number
  read(view: PoolView): Reading
  /** Ends within that time. */
  close(ms: number): Promise<void>
}

if (!isMainThread && parentPort) run(workerData as Start, parentPort)

function run({ config, listen, cells, cell, isTerminal, recordSalt }: Start, port: Port): void {
  const logOf = (one: Config) => createLog(one, undefined, isTerminal)
  let write = logOf(config)
  const log = (event: LogEvent) => write(event)
  const fault = (message: string) => (error: unknown) => log({ level: 'error', message, error })
  const line: Line = new Line(port, {
    target: (kind) => (kind === 'tunnel' ? dialled.target : orders),
    onError: fault('A call from the main thread failed'),
  })
  const dialled = tunnelsOver(line)
  const tunnels = createTunnels(config, { take: takeSocket, home: dialled.home })
  const record = (text: string) => void line.call('crew', '', 'record', [text]).catch(fault('Not recorded'))
  const seams = withTunnels(createSeams(log, reachOf(config)), tunnels)
  const host: Host = {
    ...seams,
    ...remoteActors(line),
    buffered: sharedTally(cells, cell),
    ...(recordSalt && { recorder: new Recorder({ salt: recordSalt, write: record }) }),
    peers: {
      live: () => line.call('crew', '', 'live', []) as Promise<number>,
      metrics: (own) => line.call('crew', '', 'metrics', [own]) as Promise<Reading>,
    },
  }
  if (listen.isOwn) replyByText()
  const app = createApp(config, host)
  const onError = fault('A request failed inside the router')
  let served: Served | null = null
  const orders: Orders & Record<string, (...args: never[]) => unknown> = {
    async listen(number: number) {
      await app.extend()
      const options = { ...listen, port: number, reusePort: true, onError }
      served = await serve((request) => app.answer(request), options)
      return { url: served.url, port: served.port }
    },
    adopt(next: Config) {
      app.adopt(next)
      void app.extend().catch(fault('What is around calls could not be changed'))
      write = logOf(next)
    },
    drain() {
      app.drain()
      served?.drain()
    },
    cut: () => app.cut(),
    inFlight: () => app.inFlight(),
    read: (view: PoolView) => app.read(view),
    async close(ms: number) {
      await served?.close(ms)
      await app.close()
      seams.close()
    },
  }
  process.on('unhandledRejection', fault('A promise failed unseen'))
  process.on('uncaughtException', fault('An error was not caught'))
  boundNursery(true)
  installKernel()
}
