// An engine's refusal of a request, before its own shape is put around it.

/** A connection that breaks without an answer: what fetch rejects with then. */
export class ConnectionBroken extends TypeError {
  constructor(message = 'terminated') {
    super(message)
    this.name = 'TypeError'
  }
}

/** What went wrong, in the words that all three engines share. */
export type RefusalKind =
  | 'bad_json' // the body is no JSON
  | 'invalid' // the body is JSON of the wrong shape
  | 'bad_request' // well-formed, but cannot be done
  | 'too_long' // the prompt does not fit the context
  | 'unknown_model'
  | 'not_found'
  | 'unavailable'
  | 'internal'

const STATUS: Readonly<Record<RefusalKind, number>> = {
  bad_json: 400,
  invalid: 400,
  bad_request: 400,
  too_long: 400,
  unknown_model: 404,
  not_found: 404,
  unavailable: 503,
  internal: 500,
}

interface Details {
  /** The field at fault. */
  readonly param?: string
  /** In place of the engine's own word for the kind. */
  readonly type?: string
  readonly status?: number
}

/** Thrown by handlers; the engine's wording turns it into a response. */
export class EngineRefusal extends Error {
  readonly kind: RefusalKind
  readonly param: string | null
  readonly type: string | null
  readonly status: number

  constructor(kind: RefusalKind, message: string, details: Details = {}) {
    super(message)
    this.name = 'EngineRefusal'
    this.kind = kind
    this.param = details.param ?? null
    this.type = details.type ?? null
    this.status = details.status ?? STATUS[kind]
  }
}
