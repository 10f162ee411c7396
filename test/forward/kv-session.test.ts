import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { clientSession, nameInBody, nameInHeaders } from '../../src/forward/kv-session.ts'
import type { WorkerRef } from '../../src/host.ts'
import type { Call } from '../../src/openai/call.ts'
import { scanTop } from '../../src/openai/scan.ts'

const worker = (kvSession?: 'header' | 'body'): WorkerRef => ({
  id: 'w',
  url: 'http://w',
  engine: 'vllm',
  ...(kvSession && { kvSession }),
})
const encoder = new TextEncoder()
function call(body: string, passed: readonly string[] = []): Call {
  const bytes = encoder.encode(body)
  return {
    id: 'd-1',
    headers: { passed, keys: [] },
    body: { kind: 'json', bytes, top: scanTop(bytes) },
  } as unknown as Call
}
const text = (body: ReturnType<typeof nameInBody>) => Buffer.concat(body as Uint8Array[]).toString()

describe('the name of a call', () => {
  it('goes into a header of workers that take it there, unless the client gave one', () => {
    assert.deepEqual(nameInHeaders(['a', 'b'], worker('header'), call('{"model":"m"}')), [
      'a',
      'b',
      'x-session-id',
      'd-1',
    ])
    assert.deepEqual(nameInHeaders([], worker('header'), call('{"session_id":"s"}')), [])
    assert.deepEqual(nameInHeaders([], worker('header'), call('{}', ['x-session-id', 's'])), [])
    assert.deepEqual(nameInHeaders([], worker('body'), call('{"model":"m"}')), [])
    assert.deepEqual(nameInHeaders([], worker(), call('{"model":"m"}')), [])
  })

  it('goes into the body of workers that take it there, whatever slices that is in', () => {
    const body = '{"model":"m","stop":["}"]} \n'
    const whole = encoder.encode(body)
    for (let cut = 0; cut <= body.length; cut++)
      assert.equal(
        text(nameInBody([whole.subarray(0, cut), whole.subarray(cut)], worker('body'), call(body))),
        '{"model":"m","stop":["}"],"session_id":"d-1"} \n',
      )
    for (const own of ['{"session_id":"s"}', '{"session_id":null}', '{"session_params":{}}', '{}'])
      assert.equal(text(nameInBody([encoder.encode(own)], worker('body'), call(own))), own)
    assert.equal(text(nameInBody([whole], worker('header'), call(body))), body)
  })

  it('is the one that the client gave, where it gave one', () => {
    assert.equal(clientSession(call('{"session_id":"s"}', ['X-Session-ID', 'h'])), 's')
    assert.equal(clientSession(call('{"session_id":7}', ['x-session-id', 'h'])), 'h')
    assert.equal(clientSession(call('{}')), undefined)
  })
})
