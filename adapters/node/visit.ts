// One ordinary request under way: what becomes of it when its handler has answered or failed, or its client has left.
import type { Waiter } from '../../src/soon.ts'
import type { Exchange } from './client/exchange.ts'
import { refuse } from './refusals.ts'
import type { NodeRequest } from './request.ts'
import { dropResponse, sendResponse, type Leaving } from './send.ts'

const CLOSE = ['Connection', 'close']
const NONE: string[] = []

/** What a visit needs of its server. */
export interface Ward {
  /** Each response is the last one on its connection. */
  readonly isDraining: boolean
  /** A handler that throws breaks the connection in place of a 500. */
  readonly breaksOnError: boolean
  /** Hears of a handler that threw. */
  onError(error: unknown): void
  /** A visit is over. */
  finish(): void
}

export class Visit implements Waiter<Response> {
  readonly #ward: Ward
  readonly #exchange: Exchange
  readonly #request: NodeRequest
  #sent: Leaving | null = null

  constructor(ward: Ward, exchange: Exchange, request: NodeRequest) {
    this.#ward = ward
    this.#exchange = exchange
    this.#request = request
    exchange.owner = this
  }

  /** Its handler has answered. */
  came(response: Response): void {
    try {
      this.#send(response)
    } catch (error) {
      this.failed(error)
    }
  }

  /** The handler threw, or the sending did. */
  failed(error: unknown): void {
    this.#ward.onError(error)
    const exchange = this.#exchange
    if (exchange.isOver || exchange.hasBegun || this.#ward.breaksOnError) exchange.destroy()
    else refuse(exchange)
  }

  #send(response: Response): void {
    const exchange = this.#exchange
    if (exchange.isOver) return dropResponse(response)
    // Its body has not come as a whole: where the next request begins is not known. Who asked first may send it all the same.
    const isCut = exchange.isWaiting || !exchange.isWhole
    if (isCut) exchange.linger()
    this.#sent = sendResponse(response, exchange, this.#ward.isDraining || isCut ? CLOSE : NONE)
  }

  over(isSent: boolean): void {
    this.#ward.finish()
    if (isSent) return
    // First the body, then the signal: a leave must not look like an upstream that failed.
    this.#sent?.cancel()
    this.#request.leave()
  }
}
