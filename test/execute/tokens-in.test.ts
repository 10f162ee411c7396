import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneToken } from '../../src/execute/forms/caps.ts'
import { scanTop } from '../../src/openai/scan.ts'
import { vllmRouter } from '../../src/dialects/vllm-router/index.ts'
import { engine } from '../journeys/_rig.ts'
import { rig as open, type Server } from '../dialects/_rig.ts'

const P = 'http://p:8000'
const D = 'http://d:8000'
const PATH = '/inference/v1/generate'

test('where tokens go in, the prefill leg is cut among the sampling parameters', () => {
  const top = scanTop(
    new TextEncoder().encode('{"token_ids":[1],"sampling_params":{"max_tokens":9,"temperature":0.5}}'),
  )
  assert.deepEqual(oneToken('other', top)[0], {
    kind: 'set',
    key: 'sampling_params',
    value: '{"max_tokens":1,"temperature":0.5,"min_tokens":1}',
  })
  assert.deepEqual(oneToken('other', top, false)[0], {
    kind: 'set',
    key: 'sampling_params',
    value: '{"max_tokens":1,"temperature":0.5}',
  })
})

test('a call of tokens goes to a pair, and the decode worker gets what the prefill worker tells', async () => {
  const seen: string[] = []
  const answering = (name: string, answer: object): Server => {
    const plain = engine()
    return {
      fetch: async (request) => {
        if (new URL(request.url).pathname !== PATH) return plain.fetch(request)
        const { sampling_params: sampling, kv_transfer_params: kv } = (await request.json()) as never
        seen.push(
          `${name} ${JSON.stringify(sampling)} ${JSON.stringify((kv as { remote_host?: string }).remote_host)}`,
        )
        return Response.json(answer)
      },
    }
  }
  const fleet = {
    [P]: answering('prefill', { choices: [], kv_transfer_params: { remote_host: 'p' } }),
    [D]: answering('decode', { choices: [{ index: 0, token_ids: [7] }] }),
  }
  const { ask } = await open(vllmRouter, `--vllm-pd-disaggregation --prefill ${P} --decode ${D}`, fleet, {
    healthInterval: 'off',
  })
  const body = { token_ids: [1, 2], sampling_params: { max_tokens: 4 } }
  const reply = await ask(PATH, { body })
  assert.deepEqual([reply.status, reply.json.choices[0].token_ids], [200, [7]])
  assert.deepEqual(seen, ['prefill {"max_tokens":1,"min_tokens":1} null', 'decode {"max_tokens":4} "p"'])
})
