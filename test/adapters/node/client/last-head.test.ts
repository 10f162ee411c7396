import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LastHead } from '../../../../adapters/node/client/last-head.ts'
import { HeaderView } from '../../../../adapters/node/headers.ts'
import { NodeRequest, Origins } from '../../../../adapters/node/request.ts'
import type { Incoming } from '../../../../adapters/node/client/exchange.ts'

const first = ['Host', 'a', 'Authorization', 'Bearer one', 'Content-Length', '10']

const next: Record<string, { headers: readonly string[]; isSame: boolean }> = {
  'the same head': { headers: [...first], isSame: true },
  'another length': { headers: first.with(5, '9000'), isSame: true },
  'another key': { headers: first.with(3, 'Bearer two'), isSame: false },
  'a name spelled otherwise': { headers: first.with(0, 'host'), isSame: false },
  'a name in place of the length': { headers: first.with(4, 'Content-Lengths'), isSame: false },
  'one header more': { headers: [...first, 'X-Session', 's'], isSame: false },
  'one header less': { headers: first.slice(0, 4), isSame: false },
  'another order': { headers: [...first.slice(2), ...first.slice(0, 2)], isSame: false },
  'no headers': { headers: [], isSame: false },
}

for (const [what, { headers, isSame }] of Object.entries(next))
  test(`${what} ${isSame ? 'finds what was kept' : 'finds nothing'}`, () => {
    const last = new LastHead()
    const kept = last.memoryOf(first)
    assert.equal(last.memoryOf(headers) === kept, isSame)
    // Only the last one is known.
    assert.equal(last.memoryOf(first) === kept, isSame)
  })

test('a request whose headers were written to is another one than came', () => {
  const memory = {}
  const incoming = { headers: first, memory, length: 0 } as unknown as Incoming
  const request = new NodeRequest(incoming, { origins: new Origins('http'), maxBody: 0, isUpgrade: false })
  assert.equal(request.memory, memory)
  assert.ok(request.headers instanceof HeaderView)
  assert.equal(request.headers.get('authorization'), 'Bearer one')
  assert.equal(request.memory, memory)
  request.headers.set('authorization', 'Bearer two')
  assert.equal(request.memory, null)
})
