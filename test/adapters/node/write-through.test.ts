import { deepEqual, equal } from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { writeThrough } from '../../../adapters/node/write-through.ts'

const bytes = Uint8Array.of(1, 2, 3, 4, 5)

/** `taken`: what the handle says of a write of all bytes. What the socket was given instead, and what came back. */
function write(taken: number | null): { rest: number[] | null; isRoomy: boolean } {
  let rest: number[] | null = null
  const socket = { write: (given: Uint8Array) => ((rest = [...given]), false) } as unknown as Socket
  const handle = taken === null ? {} : { write: () => taken }
  const isRoomy = writeThrough(socket, handle, bytes)
  return { rest, isRoomy }
}

test('bytes that the kernel takes at once do not pass the socket', () => {
  deepEqual(write(5), { rest: null, isRoomy: true })
})

for (const [name, taken, rest] of [
  ['of which the kernel takes some wait in the socket', 2, [3, 4, 5]],
  ['of which it takes none wait there as a whole', 0, [1, 2, 3, 4, 5]],
  ['for a closed handle are given to the socket, which tells what became of it', -1, [1, 2, 3, 4, 5]],
  ['for a handle that does not write so go the usual way', null, [1, 2, 3, 4, 5]],
] as const)
  test(`bytes ${name}`, () => {
    const written = write(taken)
    deepEqual(written.rest, rest)
    equal(written.isRoomy, false)
  })
