// What the watch of a stream is given, and what it tells.
import type { Usage } from '../actors/ask.ts'
import type { Pieces } from '../host.ts'
import type { Shape, StreamFailure } from './shapes.ts'

export interface StreamOptions {
  readonly shape: Shape
  /** Take the usage event out again: the router asked for it, the client did not. Of chat and completions only. */
  readonly stripUsage: boolean
  now(): number
  /** Called once, with the time of the first event that carries a token. */
  onFirstToken(at: number): void
}

export interface StreamWatch {
  /**
   * The next bytes from the engine, which are the watch's from now on. Returns what the client gets: the same object unless
   * something must be held back or taken out.
   */
  chunk(bytes: Uint8Array): Uint8Array | null
  /** As `Watch.pass`: whether each is a whole event that opens like the last one with a token. */
  pass(pieces: Pieces): boolean
  /** The engine's stream ended cleanly. Returns what was held back and belongs to the client. Look at `isFinished` after it. */
  end(): Uint8Array | null
  /** Gives back what it keeps of events. Nothing is asked of it afterwards but what it has counted. */
  close(): void
  /** Time of the first token, or null. */
  readonly firstTokenAt: number | null
  /** Events that carried tokens: about the number of tokens. */
  readonly tokens: number
  /** Whether the stream told that it ended (`[DONE]`, a finish reason, an error, …); without it a clean end is a truncation. */
  readonly isFinished: boolean
  /** Whether the engine told an error inside the stream. */
  readonly isFailed: boolean
  /** Whether the client has part of an event whose rest never came. */
  readonly isInsideEvent: boolean
  /** Id of the stored response that a Responses stream makes, once known. */
  readonly responseId: string | null
  /** What the engine told of tokens so far, or null. */
  usage(): Usage | null
  /** `usage()`, or else an estimate from what came by, given a guess of the prompt's tokens. */
  usageOrEstimate(promptTokens: number): Usage
  /** The event that ends this stream when it broke; led by a blank line where the client has part of an event. */
  errorText(failure: StreamFailure): string
}
