// What node:net's streams leave behind of each read and write, in one place for all of a thread.

export interface StreamState {
  readonly numbers: Int32Array
  /** Where a read leaves how much it read, or what went wrong. */
  readonly readAt: number
  /** Where a write leaves whether it goes on after its call (1), or has ended (0). */
  readonly goesOnAt: number
}

/** Not documented: null where it is not as in Node 22 to 26, and where permissions are restricted. On other runtimes nobody asks. */
export function streamState(): StreamState | null {
  try {
    const { binding } = process as unknown as { binding(name: string): Record<string, unknown> }
    const lent = binding.call(process, 'stream_wrap')
    const { streamBaseState: numbers, kReadBytesOrError: readAt, kLastWriteWasAsync: goesOnAt } = lent
    const isKnown =
      numbers instanceof Int32Array && typeof readAt === 'number' && typeof goesOnAt === 'number'
    return isKnown ? { numbers, readAt, goesOnAt } : null
  } catch {
    return null
  }
}
