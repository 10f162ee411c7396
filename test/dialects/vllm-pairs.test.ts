import assert from 'node:assert/strict'
import { test } from 'node:test'
import { vllmRouter } from '../../src/dialects/vllm-router/index.ts'
import { engine, type Fleet } from '../journeys/_rig.ts'
import { rig as open, type Server } from './_rig.ts'

const P = 'http://p:8000'
const D = 'http://d:8000'

/** An engine that has an answer of its own on some paths. */
function withAnswers(answers: Readonly<Record<string, () => Response>>): Server {
  const plain = engine()
  return { fetch: async (request) => answers[new URL(request.url).pathname]?.() ?? plain.fetch(request) }
}

const rig = (fleet: Readonly<Record<string, Server | null>>, more = {}) =>
  open(vllmRouter, `--vllm-pd-disaggregation --prefill ${P} --decode ${D}`, fleet as Fleet, {
    healthInterval: 'off',
    ...more,
  })
const ok = () => new Response('ok')
const able = (load: number) =>
  withAnswers({
    '/health_generate': ok,
    '/flush_cache': ok,
    '/get_load': () => Response.json({ load }),
  })
const both = { [P]: able(3), [D]: able(4) }

type Row = readonly [method: string, path: string, status: number, answer: RegExp]

const WELL: readonly Row[] = [
  [
    'GET',
    '/readiness',
    200,
    /^\{"status":"ready","prefill":\{"healthy":1,"total":1\},"decode":\{"healthy":1,"total":1\}\}$/,
  ],
  [
    'GET',
    '/health_generate',
    200,
    /^Health generate passed on selected pair: prefill=http:\/\/p:8000, decode=http:\/\/d:8000$/,
  ],
  [
    'GET',
    '/get_loads',
    200,
    /^\{"loads":\{"prefill_http:\/\/p:8000":3,"decode_http:\/\/d:8000":4\},"errors":\[\]\}$/,
  ],
  ['POST', '/flush_cache', 200, /^Cache flushed successfully: \["Prefill http:\/\/p:8000: OK", "Decode/],
  ['GET', '/workers', 200, /"worker_type":"prefill".*"bootstrap_port":null/],
  ['DELETE', '/v1/responses/r', 501, /^Responses delete endpoint not implemented$/],
  ['GET', '/v1/responses/r/input', 501, /^Responses list input items endpoint not implemented$/],
  ['GET', '/version', 200, /"version"/],
]

test('with prefill and decode workers it answers in the form of pairs', async () => {
  const { ask } = await rig(both)
  for (const [method, path, status, answer] of WELL) {
    const reply = await ask(path, { method })
    assert.equal(reply.status, status, path)
    assert.match(reply.text, answer, path)
  }
})

test('what half a pair lacks is told by role', async () => {
  const { ask } = await rig({ [P]: able(3), [D]: withAnswers({}) })
  const flushed = await ask('/flush_cache', { method: 'POST' })
  assert.equal(flushed.status, 206)
  assert.match(flushed.text, /Errors: \["Decode http:\/\/d:8000 returned status: 404 Not Found"\]$/)
})

test('a pair of which one half does not generate fails the probe', async () => {
  const sick = () => new Response('', { status: 503 })
  const { ask } = await rig({ [P]: able(3), [D]: withAnswers({ '/health_generate': sick }) })
  const { status, text } = await ask('/health_generate')
  assert.equal(status, 503)
  assert.equal(
    text,
    'Health generate failed: ["Decode http://d:8000 returned status 503 Service Unavailable"]',
  )
})

test('strictly, nothing but POST is passed on to pairs', async () => {
  const { ask } = await rig(both, { strictCompat: true })
  const { status, text } = await ask('/version')
  assert.deepEqual([status, text], [405, 'Only POST requests are supported for transparent proxy'])
})

test('the id of both legs names both engines, and the client has its own', async () => {
  const seen: (string | null)[] = []
  const heard = (): Server => {
    const plain = engine()
    return {
      fetch: async (request) => {
        if (request.method === 'POST') seen.push(request.headers.get('x-request-id'))
        return plain.fetch(request)
      },
    }
  }
  const { ask } = await rig({ [P]: heard(), [D]: heard() })
  const { headers } = await ask('/v1/completions', {
    body: { prompt: 'Say', max_tokens: 4 },
    headers: { 'x-request-id': 'mine' },
  })
  assert.equal(headers.get('x-request-id'), 'mine')
  assert.equal(seen.length, 2)
  assert.match(seen[0] ?? '', /^___prefill_addr_p:8000___decode_addr_d:8000_[0-9a-f]{32}$/)
  assert.equal(seen[1], seen[0])
})
