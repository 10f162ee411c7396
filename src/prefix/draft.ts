// The spans of a prompt while they are gathered.
import { MAX_BYTES, MEDIA_BYTES, alignUp } from './sizes.ts'

export interface Draft {
  /** Three numbers a span: start, end, and 1 for media. */
  readonly spans: number[]
  /** Canonical bytes so far. */
  length: number
}

/** Adds a span of text; behind `MAX_BYTES` only its length counts. */
export function addText(draft: Draft, start: number, end: number): void {
  if (end <= start) return
  if (draft.length < MAX_BYTES) draft.spans.push(start, end, 0)
  draft.length += end - start
}

/** Adds an image, a sound or a file, which counts as `MEDIA_BYTES` whatever its size. */
export function addMedia(draft: Draft, start: number, end: number): void {
  if (draft.length < MAX_BYTES) draft.spans.push(start, end, 1)
  draft.length = alignUp(draft.length) + MEDIA_BYTES
}
