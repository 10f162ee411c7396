// The router's end of one request through a tunnel: sends it, and hands what comes back to a receiver.
import { UpstreamFailure, type HeaderList, type Outgoing } from '../host.ts'
import { TunnelProtocolError } from './frames.ts'
import type { StreamLike } from './stream.ts'

/** Who hears about an answer. Exactly one of `end` and `fail` is called, unless the exchange is destroyed. */
export interface AnswerReceiver {
  head(head: { readonly status: number; readonly headers: HeaderList }): void
  /** `isLast`: the end follows at once. */
  data(bytes: Uint8Array, isLast: boolean): void
  end(): void
  fail(failure: UpstreamFailure): void
}

/** Opens the stream of a request, by its head. Throws `RangeError` when that is larger than a frame. */
export type OpenStream = (head: RequestHead) => StreamLike

/** What travels in an `open` frame. */
export interface RequestHead {
  readonly method: string
  readonly path: string
  readonly headers: HeaderList
  /** Bytes of the body; null: there is none; -1: nobody knows yet. */
  readonly length: number | null
  readonly connectTimeout: number
  readonly once: boolean
  /** A WebSocket is wanted, with one of these subprotocols; its messages are the bodies. */
  readonly protocols?: readonly string[]
}

export class Exchange {
  /** A byte of the answer came. */
  heard = false
  #stream: StreamLike | null = null
  #hasHead = false
  #isOver = false
  #onRoom = () => {}

  /** Sends the request; what comes of it goes to the receiver. Throws `UpstreamFailure` (`protocol`) for a head that is too large. */
  send(open: OpenStream, outgoing: Outgoing, receiver: AnswerReceiver): void {
    if (this.#isOver) return
    const { method, path, headers, body, connectTimeout, isOnce = false } = outgoing
    let length: number | null = null
    if (body !== null) length = 'getReader' in body ? -1 : sizeOf(body)
    const stream = this.#open(open, { method, path, headers, length, connectTimeout, once: isOnce })
    this.#stream = stream
    stream.ear = {
      head: (head) => this.#takeHead(head, receiver),
      data: (bytes) => receiver.data(bytes, false),
      end: () => this.#takeEnd(receiver),
      fail: (failure) => {
        this.#isOver = true
        this.#onRoom()
        receiver.fail(failure)
      },
      room: () => this.#onRoom(),
    }
    if (body !== null && 'getReader' in body) void this.#pour(stream, body, receiver)
    else {
      for (const slice of body ?? []) stream.write(slice)
      stream.end()
    }
  }

  pause(): void {
    this.#stream?.pause()
  }

  resume(): void {
    this.#stream?.resume()
  }

  /** Ends it at once, on the worker too; the receiver hears nothing more. */
  destroy(): void {
    this.#isOver = true
    this.#onRoom()
    this.#stream?.reset('aborted', 'the router ended the call')
  }

  #open(open: OpenStream, head: RequestHead): StreamLike {
    try {
      return open(head)
    } catch (error) {
      if (error instanceof RangeError)
        throw new UpstreamFailure('protocol', 'the head of the request is too large')
      throw error
    }
  }

  #takeHead({ status, headers }: Record<string, unknown>, receiver: AnswerReceiver): void {
    const isStatus = typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 599
    const isList = Array.isArray(headers) && headers.every((one) => typeof one === 'string')
    if (this.#hasHead || !isStatus || !isList || headers.length % 2 !== 0)
      throw new TunnelProtocolError('a head that is none')
    this.#hasHead = true
    this.heard = true
    receiver.head({ status, headers })
  }

  #takeEnd(receiver: AnswerReceiver): void {
    if (!this.#hasHead) throw new TunnelProtocolError('an answer without a head')
    this.#isOver = true
    this.#onRoom()
    // It answered without taking the whole request, and needs no more of it.
    this.#stream?.reset('aborted', 'the answer is whole')
    receiver.end()
  }

  async #pour(stream: StreamLike, body: ReadableStream<Uint8Array>, receiver: AnswerReceiver): Promise<void> {
    const reader = body.getReader()
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        if (this.#isOver) break
        if (!stream.write(next.value)) await new Promise<void>((resolve) => (this.#onRoom = resolve))
        if (this.#isOver) break
      }
      if (this.#isOver) await reader.cancel()
      else stream.end()
    } catch {
      // The source of the body broke: the worker must not take what came for the whole.
      if (this.#isOver) return
      this.destroy()
      receiver.fail(new UpstreamFailure('aborted', 'the request body broke off'))
    }
  }
}

function sizeOf(slices: readonly Uint8Array[]): number {
  let size = 0
  for (const slice of slices) size += slice.byteLength
  return size
}
