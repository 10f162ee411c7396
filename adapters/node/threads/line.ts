// Calls between two threads: what one turn of the event loop has to say goes over in one message, in both directions.
import type { MessagePort, Worker } from 'node:worker_threads'

/** The methods of a thing that can be called from the other end: plain values in, a value or a promise out. */
export type Target = Readonly<Record<string, (...args: never[]) => unknown>>

/** One end of a channel; to the thread that made it a `Worker` is one. */
export type Port = Pick<MessagePort, 'postMessage' | 'on'> | Pick<Worker, 'postMessage' | 'on'>

export interface LineOptions {
  /** Finds what a call is for. */
  readonly target: (kind: string, name: string) => Target | undefined
  /** Hears of a call that failed and whose caller does not wait. */
  readonly onError: (error: unknown) => void
}

/** `id` 0: nobody waits for the answer. */
type Call = readonly [id: number, kind: string, name: string, method: string, args: unknown[]]
type Answer = readonly [id: number, value: unknown, error?: Failed]
type Parcel = readonly [calls: readonly Call[], answers: readonly Answer[]]

/** Cloning an error loses its code. */
interface Failed {
  readonly message: string
  readonly code?: unknown
}

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** One end of the line. Calls and answers keep their order in each direction. */
export class Line {
  readonly #port: Port
  readonly #options: LineOptions
  readonly #waiting = new Map<number, Waiting>()
  #calls: Call[] = []
  #answers: Answer[] = []
  #isScheduled = false
  #lastId = 0
  #end: Error | null = null

  constructor(port: Port, options: LineOptions) {
    this.#port = port
    this.#options = options
    port.on('message', (parcel: Parcel) => this.#receive(parcel))
  }

  /** Calls a method at the other end; rejects with what it threw, or when the line ends first. */
  call(kind: string, name: string, method: string, args: unknown[]): Promise<unknown> {
    if (this.#end) return Promise.reject(this.#end)
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#calls.push([id, kind, name, method, args])
      this.#schedule()
    })
  }

  /** Calls a method whose answer nobody needs. */
  cast(kind: string, name: string, method: string, args: unknown[]): void {
    this.#calls.push([0, kind, name, method, args])
    this.#schedule()
  }

  /** The other end is gone: nobody waits any longer. */
  end(reason: Error): void {
    this.#end = reason
    for (const { reject } of this.#waiting.values()) reject(reason)
    this.#waiting.clear()
  }

  /** After all sockets that have something were read: their calls go together. */
  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#calls.length + this.#answers.length === 0) return
    const parcel: Parcel = [this.#calls, this.#answers]
    this.#calls = []
    this.#answers = []
    if (!this.#end) this.#port.postMessage(parcel)
  }

  #receive([calls, answers]: Parcel): void {
    for (const [id, value, error] of answers) {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error) waiting?.reject(Object.assign(new Error(error.message), error))
      else waiting?.resolve(value)
    }
    for (const call of calls) this.#run(call)
    // What can be answered at once is.
    this.#flush()
  }

  #run([id, kind, name, method, args]: Call): void {
    try {
      const target = this.#options.target(kind, name)
      const run = target?.[method] as ((...args: unknown[]) => unknown) | undefined
      if (!run) throw new TypeError(`there is no ${kind}.${method} to call`)
      const result = run.apply(target, args)
      if (result instanceof Promise) this.#answerLater(id, result)
      else if (id > 0) this.#answers.push([id, result])
    } catch (error) {
      this.#fail(id, error)
    }
  }

  #answerLater(id: number, result: Promise<unknown>): void {
    const answer = (value: unknown) => {
      if (id === 0) return
      this.#answers.push([id, value])
      this.#schedule()
    }
    result.then(answer, (error: unknown) => {
      this.#fail(id, error)
      this.#schedule()
    })
  }

  #fail(id: number, error: unknown): void {
    if (id === 0) return this.#options.onError(error)
    const { message, code } = error as { message?: string; code?: unknown }
    this.#answers.push([id, null, { message: message ?? String(error), ...(code !== undefined && { code }) }])
  }
}
