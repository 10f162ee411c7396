// The tunnels of a router of several threads: links live in the thread of the actors; the sockets of workers and the calls of
// clients are in whichever thread they came to, and reach the links over its line.
import { UpstreamFailure } from '../../../src/host.ts'
import type { OpenStream } from '../../../src/tunnel/exchange.ts'
import { encodeJson } from '../../../src/tunnel/frames.ts'
import type { TunnelHome, WireEar } from '../../../src/tunnel/gate.ts'
import type { Wire } from '../../../src/tunnel/link.ts'
import type { Line, Target } from './line.ts'
import { DoorStream } from './door-stream.ts'
import { LineStream } from './line-stream.ts'
import { alone, type Tell, type TunnelCalls, type TunnelTellings } from './tunnel-calls.ts'

const tellerOf =
  <T>(line: Line): Tell<T> =>
  (method, ...args) =>
    line.cast('tunnel', '', method as string, args)

/** The links' end of one thread. */
export interface TunnelDoorway {
  readonly target: Target
  /** The thread is gone: its sockets have closed, and its calls have ended. */
  close(): void
}

/** Opens the tunnels to one thread; `home` is asked when it first needs them. */
export function openTunnels(home: () => Promise<TunnelHome>, line: () => Line): TunnelDoorway {
  const tell: Tell<TunnelTellings> = (...told) => tellerOf<TunnelTellings>(line())(...told)
  const ears = new Map<number, Promise<WireEar>>()
  const streams = new Map<number, DoorStream>()
  let isClosed = false
  const wireOf = (id: number): Wire => ({
    send: (frame) => isClosed || tell('send', id, frame),
    close: (code, reason) => isClosed || tell('close', id, code, reason),
  })
  const closed = (id: number, code?: number) => {
    void ears.get(id)?.then((ear) => ear.closed(code))
    ears.delete(id)
  }
  const calls: TunnelCalls = {
    opened: (id) =>
      void ears.set(
        id,
        home().then((here) => here.accept(wireOf(id))),
      ),
    message: (id, bytes) => void ears.get(id)?.then((ear) => ear.message(bytes)),
    closed,
    drop: (workerId) => void home().then((here) => here.drop(workerId)),
    open(id, url, head) {
      const stream = new DoorStream(id, isClosed ? () => undefined : tell, () => streams.delete(id))
      streams.set(id, stream)
      const { signal } = stream
      const { connectTimeout } = head
      const opening = home().then((here) => here.ready(url, { connectTimeout, signal }))
      opening.then((open) => stream.begin(open(head))).catch((error: unknown) => stream.refuse(error))
    },
    write: (id, bytes) => streams.get(id)?.write(bytes),
    end: (id) => streams.get(id)?.end(),
    reset: (id, kind, message) => streams.get(id)?.reset(kind, message),
    took: (id, bytes) => streams.get(id)?.took(bytes),
  }
  return {
    target: calls as unknown as Target,
    close() {
      isClosed = true
      for (const id of ears.keys()) closed(id)
      for (const stream of streams.values()) stream.reset('aborted', 'the thread of this call ended')
    },
  }
}

/** The serving thread's end: sockets and calls as where the links live, and what the links tell. */
export function tunnelsOver(line: Line): { readonly home: TunnelHome; readonly target: Target } {
  const tell = tellerOf<TunnelCalls>(line)
  const wires = new Map<number, Wire>()
  const streams = new Map<number, LineStream>()
  let last = 0
  const home: TunnelHome = {
    accept(wire) {
      const id = ++last
      wires.set(id, wire)
      tell('opened', id)
      return {
        message: (bytes) => tell('message', id, alone(bytes)),
        closed(code) {
          wires.delete(id)
          tell('closed', id, code)
        },
      }
    },
    async ready(url) {
      const open: OpenStream = (head) => {
        // Too large a head is told of here, as a link does.
        encodeJson('open', 1, head)
        const id = ++last
        const stream = new LineStream(id, tell, () => streams.delete(id))
        streams.set(id, stream)
        tell('open', id, url, head)
        return stream
      }
      return open
    },
    drop: (workerId) => tell('drop', workerId),
    // The thread where the links live hears of it, too.
    configure: () => undefined,
    close: () => undefined,
  }
  const tellings: TunnelTellings = {
    send: (id, frame) => wires.get(id)?.send(frame),
    close: (id, code, reason) => wires.get(id)?.close(code, reason),
    head: (id, head) => streams.get(id)?.ear.head?.(head),
    data: (id, bytes) => streams.get(id)?.data(bytes),
    ended: (id) => streams.get(id)?.ended(),
    failed: (id, kind, message) => streams.get(id)?.fail(new UpstreamFailure(kind, message)),
    room: (id, bytes) => streams.get(id)?.room(bytes),
  }
  return { home, target: tellings as unknown as Target }
}
