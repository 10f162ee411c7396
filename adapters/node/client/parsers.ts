// Parsers of node:http (llhttp), each lent to a lane while one of its messages is being read: one has 11 KB, and most connections wait
// for an answer, or have nothing to ask, and need none.
import type { Server } from 'node:http'
import { unreadable } from './client-errors.ts'
import { heldBy, nobody, parserFor, type OnHead, type Parser, type ParserShape } from './parser.ts'

/** Who is told what a parser reads. */
export interface Listener {
  /** The first byte of a message. */
  begins(): void
  /** A whole head. */
  head(args: HeadArgs): number
  body(bytes: Uint8Array): void
  /** The last byte of a message. */
  ends(): void
}

/** What the parser tells of a head, with all of its headers and its target. */
export type HeadArgs = Parameters<OnHead> & { 2: string[]; 4: string }

/** Tells a parser that what follows a head is not HTTP. */
export const OUT = 2

/** So many are kept that nobody needs. */
const MOST = 32

/** That of a connection that never was: it reads what it is given, and tells whom it is told to. */
export class LentParser {
  listener: Listener | null = null
  readonly #socket = nobody()
  readonly #parser: Parser
  readonly #own: ReturnType<typeof heldBy>
  /** What follows is another protocol. */
  #isOut = false
  /** The last thing told was the end of a message. */
  #isWhole = false

  constructor(http: Server, { slots }: ParserShape) {
    this.#parser = parserFor(this.#socket, http)!
    this.#own = heldBy(this.#parser, slots)
    this.#listen(slots)
  }

  #listen({ begin, head, body, complete }: ParserShape['slots']): void {
    const parser = this.#parser
    parser[begin] = () => {
      this.#isWhole = false
      this.listener?.begins()
    }
    parser[head] = ((...args) => {
      const [, , list, , path] = args
      args[2] = list ?? parser._headers
      args[4] = path ?? parser._url
      if (list === undefined || path === undefined) this.#forget()
      const answer = this.listener?.head(args as HeadArgs) ?? 0
      this.#isOut = answer === OUT
      return answer
    }) satisfies OnHead as Parser[number]
    parser[body] = (bytes: Uint8Array) => this.listener?.body(bytes)
    parser[complete] = () => {
      this.#isWhole = true
      // Trailers: nobody asked for them.
      if (parser._headers.length > 0) this.#forget()
      this.listener?.ends()
    }
  }

  #forget(): void {
    this.#parser._headers = []
    this.#parser._url = ''
  }

  /**
   * Reads on. Returns how many bytes it took, all of them unless one of the heads was told to lead out of HTTP, or what is wrong with
   * them. Nothing of them is kept.
   */
  read(bytes: Buffer): number | Error {
    let at = 0
    while (true) {
      this.#isWhole = false
      const taken = this.#parser.execute(at === 0 ? bytes : bytes.subarray(at)) as number | Error
      if (typeof taken !== 'number') return taken
      at += taken
      if (at === bytes.length || this.#isOut) return at
      // It stops behind a message that asks for another protocol, also where nobody gives that: then the next one follows. Where it
      // stops within such a message something is wrong, which node:http does not tell.
      if (!this.#isWhole) return unreadable()
    }
  }

  /** No more comes: what is wrong with that, if anything. */
  finish(): unknown {
    return this.#parser.finish()
  }

  /** Gives it up: node:http may use it again, for others. */
  close(): void {
    for (const [slot, callback] of this.#own) this.#parser[slot] = callback
    this.#socket.destroy()
  }
}

/** Those of one server. */
export class Parsers {
  readonly #http: Server
  readonly #shape: ParserShape
  readonly #free: LentParser[] = []

  /** `http` makes them, with its settings. */
  constructor(http: Server, shape: ParserShape) {
    this.#http = http
    this.#shape = shape
  }

  /** One that is between two messages. */
  take(listener: Listener): LentParser {
    const parser = this.#free.pop() ?? new LentParser(this.#http, this.#shape)
    parser.listener = listener
    return parser
  }

  /** Takes one back that does not read just now. `isClean`: it is between two messages, and nothing was wrong with what it read. */
  give(parser: LentParser, isClean: boolean): void {
    parser.listener = null
    if (isClean && this.#free.length < MOST) this.#free.push(parser)
    else parser.close()
  }
}
