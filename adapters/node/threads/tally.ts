// A sum that threads share without a message: each counts in a cell of its own, and all read all of them.
import type { Tally } from '../../../src/host.ts'

const BYTES = 8

/** Cells for so many threads, all 0. */
export const createCells = (threads: number): SharedArrayBuffer => new SharedArrayBuffer(threads * BYTES)

/** What the thread with that number counts in its cell. Two that add at the same moment may both see the other's amount. */
export function sharedTally(buffer: SharedArrayBuffer, cell: number): Tally {
  // More than 2 GB can be held, and Atomics know no floats.
  const cells = new BigInt64Array(buffer)
  return {
    get total() {
      let total = 0
      for (let at = 0; at < cells.length; at++) total += Number(Atomics.load(cells, at))
      return total
    },
    add: (amount) => void Atomics.add(cells, cell, BigInt(amount)),
  }
}

/** What a thread held that is gone. */
export function clearCell(buffer: SharedArrayBuffer, cell: number): void {
  Atomics.store(new BigInt64Array(buffer), cell, 0n)
}
