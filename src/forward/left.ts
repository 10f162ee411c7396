// The client that leaves: how the corridor hears of it, and how it stops.
import type { Signal } from '../host.ts'

/** Thrown inside the corridor when the client is gone: nobody reads what is answered. */
export class ClientLeft extends Error {
  constructor() {
    super('the client left')
    this.name = 'ClientLeft'
  }
}

/** A runtime's request that tells of its client's leave by less than an AbortSignal, which costs as much as choosing a worker. */
interface LeanRequest extends Request {
  readonly leaving?: Signal
}

/** What tells that the client of a request has left. */
export const leavingOf = (request: Request): Signal => (request as LeanRequest).leaving ?? request.signal
