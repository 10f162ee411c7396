// What comes later, told without a promise: who waits for it goes on in the very turn of the event loop in which it comes.

/** Who waits for something. One of the two is called, once. Neither throws. */
export interface Waiter<T> {
  came(value: T): void
  failed(error: unknown): void
}

/**
 * As much of a promise as the corridor needs: one waits for what comes, once. It takes 40 bytes and a call, where each promise on
 * the way takes some 300 and a microtask. No thenable on purpose: who awaits it by mistake is told so by the compiler.
 */
export class Soon<T> implements Waiter<T> {
  #state: 'open' | 'came' | 'failed' = 'open'
  /** What came, or why nothing did, until somebody waits. */
  #result: unknown = undefined
  #waiter: Waiter<T> | null = null

  /** Of a promise. */
  static of<T>(promise: Promise<T>): Soon<T> {
    const soon = new Soon<T>()
    const came = (value: T) => soon.came(value)
    const failed = (error: unknown) => soon.failed(error)
    promise.then(came, failed)
    return soon
  }

  /** What `next` makes of what a promise comes to. */
  static after<T, R>(promise: Promise<T>, next: (value: T) => Soon<R>): Soon<R> {
    const soon = new Soon<R>()
    const failed = (error: unknown) => soon.failed(error)
    const came = (value: T) => {
      try {
        next(value).tell(soon)
      } catch (error) {
        failed(error)
      }
    }
    promise.then(came, failed)
    return soon
  }

  /** Only the first word counts. */
  came(value: T): void {
    if (this.#state !== 'open') return
    this.#state = 'came'
    if (this.#waiter === null) this.#result = value
    else this.#waiter.came(value)
  }

  failed(error: unknown): void {
    if (this.#state !== 'open') return
    this.#state = 'failed'
    if (this.#waiter === null) this.#result = error
    else this.#waiter.failed(error)
  }

  /** Tells the only waiter; at once, where it is here already. */
  tell(waiter: Waiter<T>): void {
    if (this.#state === 'came') waiter.came(this.#result as T)
    else if (this.#state === 'failed') waiter.failed(this.#result)
    else this.#waiter = waiter
  }

  /** For who would rather await it. Takes the place of its waiter. */
  promise(): Promise<T> {
    return new Promise((came, failed) => this.tell({ came, failed }))
  }
}
