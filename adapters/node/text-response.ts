// The router's own answers on Node, in place of the `Response` that each stands for: that one would come by web streams.
import type { HeaderList } from '../../src/host.ts'
import { replyBy, type ReplyInit } from '../../src/routes/reply.ts'
import { atHand, NativeResponse } from './response.ts'

/** Goes out as `new Response(text, init)` would, byte for byte. */
export class TextResponse extends NativeResponse {
  /** The whole body. */
  readonly content: Uint8Array

  constructor(text: string, { status, headers }: ReplyInit) {
    const content = Buffer.from(text)
    super(status, Object.entries(headers).flat(), atHand(content))
    this.content = content
  }

  /** In lower case, joined and sorted, as `Headers` gives them. */
  override get list(): HeaderList {
    return [...this.headers].sort(([a], [b]) => (a < b ? -1 : Number(a > b))).flat()
  }
}

/** From here on this thread makes its own answers so. */
export function replyByText(): void {
  replyBy((text, init) => new TextResponse(text, init) as unknown as Response)
}
