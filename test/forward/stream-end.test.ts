import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StreamRelay } from '../../src/forward/stream-relay.ts'
import type { Ending, Passage } from '../../src/forward/closing.ts'
import { Life } from '../../src/forward/notes.ts'
import { UpstreamFailure } from '../../src/host.ts'
import { createInstruments } from '../../src/metrics/instruments.ts'
import { createMeter } from '../../src/metrics/prometheus.ts'

function relay(shape: string) {
  const endings: Ending[] = []
  const passage = {
    core: {
      host: { now: () => 0 },
      config: { usage: 'off' },
      instruments: createInstruments(createMeter()),
      notes: { add() {} },
    },
    passing: {
      id: 'd',
      worker: 'w',
      model: 'm',
      endpoint: 'e',
      shape,
      status: 200,
      tokens: 1,
      startedAt: 0,
      sentAt: 0,
      allowance: null,
    },
    life: new Life({ id: 'd', tokens: 1 }),
    started: { deadline: { began() {}, stop() {} }, broken: () => null },
    close: (ending: Ending) => endings.push(ending),
  } as unknown as Passage
  return { watch: new StreamRelay(passage, false), endings }
}

const bytes = (text: string) => new TextEncoder().encode(text)
const reset = new UpstreamFailure('reset', 'connection broke')

for (const [shape, text] of [
  ['chat', 'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n'],
  ['messages', 'event: message_stop\ndata: {"type":"message_stop"}\n\n'],
  ['responses', 'event: response.completed\ndata: {"type":"response.completed","response":{}}\n\n'],
] as const) {
  test(`a ${shape} stream that was finished when its connection broke is whole`, () => {
    const { watch, endings } = relay(shape)
    watch.chunk(bytes(text))
    assert.equal(watch.fail(reset)?.length, 0)
    assert.deepEqual(
      endings.map(({ outcome, failure }) => [outcome, failure]),
      [['ok', undefined]],
    )
  })
}

test('a stream that was not finished is told as broken', () => {
  const { watch, endings } = relay('chat')
  watch.chunk(bytes('data: {"choices":[{"delta":{"content":"a"}}]}\n\n'))
  assert.match(new TextDecoder().decode(watch.fail(reset) ?? bytes('')), /"code":"worker_died"/)
  assert.equal(endings[0]?.outcome, 'truncated')
})
