// One dialled-in worker on Workers: a Durable Object of its own that holds its socket, and answers requests for it.
import { DurableObject } from 'cloudflare:workers'
import type { ActorRef, Remote } from '../../src/actors/actor.ts'
import { opaqueId } from '../../src/hash.ts'
import { UpstreamFailure, type Outgoing } from '../../src/host.ts'
import { Exchange, type AnswerReceiver } from '../../src/tunnel/exchange.ts'
import { Gate } from '../../src/tunnel/gate.ts'
import { TUNNEL } from '../../src/tunnel/name.ts'
import { openSocket, type FarSocket, type NearSocket } from '../../src/tunnel/socket.ts'
import { WINDOW } from '../../src/tunnel/stream.ts'
import { configOf, type Env } from './env.ts'
import { actorRefs, createSeams } from './host.ts'
import { ANSWER, CALL, DIAL, type TunnelAnswer, type TunnelCall, type TunnelHead } from './tunnel-door.ts'
import { take } from './upgrade.ts'

/** Bytes of an answer that wait for a client before its engine is held back. */
const HIGH_WATER = 65_536

/**
 * The socket is accepted so that the object stays in memory with it: what resumes a stream after a drop is there only, and
 * probes and pings would wake an object that hibernates every few seconds. A new deployment ends it; the worker dials again.
 */
export class FetchwayTunnel extends DurableObject<Env> {
  readonly #url: string
  readonly #gate: Gate
  /** Calls under way, by their ids. */
  readonly #calls = new Map<string, AbortController>()

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    const config = configOf(env)
    const name = nameIn(ctx)
    this.#url = TUNNEL + name
    // A worker by another name has another object.
    const tokens = config.tunnelTokens.filter((one) => one.name === undefined || one.name === name)
    const tunnelTokens = tokens.map((one) => ({ ...one, name }))
    const seams = createSeams(config, env)
    const { registry, pool } = actorRefs(env)
    const id = opaqueId('w', this.#url)
    // What an incarnation before this one held is gone; and for good, if its token is.
    const isGone = tunnelTokens.every(({ revoked }) => revoked)
    const known = registry('main')
    const told = Promise.resolve(isGone ? known.remove(id) : known.patch(id, { reachable: false }))
    seams.after(told)
    this.#gate = new Gate({ tunnelTokens }, { ...seams, pool, registry: behind(told, registry) })
  }

  /** The worker's own handshake, or a call for it. */
  override async fetch(request: Request): Promise<Response> {
    if (new URL(request.url).pathname === DIAL) return take(dialled(this.#gate))
    const call = JSON.parse(request.headers.get(CALL) ?? '') as TunnelCall
    const abort = new AbortController()
    this.#calls.set(call.id, abort)
    const ended = () => this.#calls.delete(call.id)
    try {
      const outgoing = { ...call, body: await bodyOf(request, call), signal: abort.signal }
      const open = await this.#gate.ready(this.#url, outgoing)
      if (!call.protocols) return await answered(open, outgoing, ended)
      const far = await openSocket(open, outgoing, call.protocols, ended)
      if ('join' in far) return take(far)
      ended()
      return answerOf(far, far.body)
    } catch (error) {
      ended()
      return failed(error)
    }
  }

  /** The router gave a call up. */
  cancel(id: string): void {
    this.#calls.get(id)?.abort()
  }

  drop(workerId: string): void {
    this.#gate.drop(workerId)
  }
}

/** Calls that reach the actor behind what was told before: calls by several stubs may overtake each other. */
function behind<T>(told: Promise<unknown>, ref: ActorRef<T>): ActorRef<T> {
  type Methods = Record<string, (...args: unknown[]) => unknown>
  const call =
    (name: string, method: string) =>
    async (...args: unknown[]) => {
      await told.catch(() => undefined) // its failure is in the log
      return (ref(name) as Methods)[method]?.(...args)
    }
  return (name) => new Proxy({}, { get: (_, method) => call(name, method as string) }) as Remote<T>
}

/** Homes of several routers may share one namespace; the name of the worker comes last. */
const nameIn = ({ id }: DurableObjectState): string => id.name?.split('/').at(-1) ?? ''

/** A small body goes on with its length. */
async function bodyOf(request: Request, { length }: TunnelCall): Promise<Outgoing['body']> {
  if (length === null) return null
  if (length < 0 || length > WINDOW) return request.body
  return [new Uint8Array(await request.arrayBuffer())]
}

type Open = Awaited<ReturnType<Gate['ready']>>

/** The engine's answer; rejects with `UpstreamFailure` where there is none. */
function answered(open: Open, outgoing: Outgoing, ended: () => void): Promise<Response> {
  const exchange = new Exchange()
  return new Promise((resolve, reject) => {
    let controller: ReadableStreamDefaultController<Uint8Array> | null = null
    const receiver: AnswerReceiver = {
      head(head) {
        const body = new ReadableStream<Uint8Array>(
          {
            start: (given) => void (controller = given),
            pull: () => exchange.resume(),
            cancel() {
              exchange.destroy()
              ended()
            },
          },
          { highWaterMark: HIGH_WATER, size: (bytes) => bytes?.byteLength ?? 0 },
        )
        resolve(answerOf(head, body))
      },
      data(bytes) {
        controller?.enqueue(bytes)
        if ((controller?.desiredSize ?? 1) <= 0) exchange.pause()
      },
      end() {
        ended()
        controller?.close()
      },
      fail(failure) {
        ended()
        controller?.error(failure)
        reject(failure)
      },
    }
    outgoing.signal.addEventListener('abort', () => {
      exchange.destroy()
      receiver.fail(new UpstreamFailure('aborted', 'the router ended the call'))
    })
    exchange.send(open, outgoing, receiver)
  })
}

function answerOf({ status, headers }: TunnelHead, body: BodyInit): Response {
  return new Response(body, {
    headers: { [ANSWER]: JSON.stringify({ status, headers } satisfies TunnelAnswer) },
  })
}

function failed(error: unknown): Response {
  const isOurs = error instanceof UpstreamFailure
  const answer: TunnelAnswer = { failure: isOurs ? error.kind : 'protocol', message: String(error) }
  return new Response(null, { headers: { [ANSWER]: JSON.stringify(answer) } })
}

/** The socket of a worker that dials in, as the gate takes it. */
function dialled(gate: Gate): FarSocket {
  let ear: ReturnType<Gate['accept']> | null = null
  let near: NearSocket | null = null
  return {
    protocol: '',
    join(socket) {
      near = socket
      ear = gate.accept({
        send: (frame) => void socket.send(frame as Uint8Array<ArrayBuffer>),
        close: (code, reason) => socket.close(code, reason),
      })
    },
    send(message) {
      if (typeof message === 'string') near?.close(1003, 'frames are binary')
      else ear?.message(new Uint8Array(message))
    },
    close: (code) => ear?.closed(code),
  }
}
