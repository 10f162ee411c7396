import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Refusal, refusalBody } from '../../src/openai/errors.ts'

const openai = (status: number) =>
  (
    JSON.parse(refusalBody('openai', { status, code: 'c', message: 'm' })) as {
      error: Record<string, unknown>
    }
  ).error
const anthropic = (status: number) =>
  JSON.parse(refusalBody('anthropic', { status, code: 'c', message: 'm' })) as {
    type: string
    error: Record<string, unknown>
  }

const types: [number, string, string, boolean][] = [
  [400, 'invalid_request_error', 'invalid_request_error', false],
  [401, 'authentication_error', 'authentication_error', false],
  [403, 'permission_error', 'permission_error', false],
  [404, 'invalid_request_error', 'not_found_error', false],
  [413, 'invalid_request_error', 'request_too_large', false],
  [429, 'rate_limit_error', 'rate_limit_error', true],
  [500, 'server_error', 'api_error', true],
  [501, 'server_error', 'api_error', false],
  [502, 'server_error', 'api_error', true],
  [503, 'server_error', 'overloaded_error', true],
  [504, 'server_error', 'timeout_error', true],
]
for (const [status, openaiType, anthropicType, retryable] of types) {
  test(`a refusal with status ${status} is ${openaiType} to OpenAI clients and ${anthropicType} to Anthropic's`, () => {
    assert.deepEqual(openai(status), { message: 'm', type: openaiType, param: null, code: 'c', retryable })
    assert.deepEqual(anthropic(status), {
      type: 'error',
      error: { type: anthropicType, message: 'm', code: 'c', retryable },
    })
  })
}

test('the request id is in an Anthropic body when it is known', () => {
  const body = refusalBody('anthropic', { status: 503, code: 'queue_full', message: 'm' }, 'req-1')
  assert.equal((JSON.parse(body) as { request_id: string }).request_id, 'req-1')
})

test('a Refusal is a RefusalValue that can be thrown', () => {
  const refusal = new Refusal(429, 'rate_limited', 'Too many requests.', 3)
  assert.ok(refusal instanceof Error)
  const { status, code, message, retryAfter } = refusal
  assert.deepEqual(
    { status, code, message, retryAfter },
    { status: 429, code: 'rate_limited', message: 'Too many requests.', retryAfter: 3 },
  )
  assert.equal('retryAfter' in new Refusal(400, 'c', 'm'), false)
})
