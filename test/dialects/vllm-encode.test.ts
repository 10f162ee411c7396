import assert from 'node:assert/strict'
import { test } from 'node:test'
import { vllmRouter } from '../../src/dialects/vllm-router/index.ts'
import { callsOf, engine } from '../journeys/_rig.ts'
import { rig as open } from './_rig.ts'
import { translated } from './_translate.ts'

const W1 = 'http://w1:8000'
const E1 = 'http://e1:8000'
const E2 = 'http://e2:8000'
const IMAGE = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }
const SOUND = { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }
const CHAT = '/v1/chat/completions'
const body = {
  model: 'm',
  messages: [{ role: 'user', content: [{ type: 'text', text: 'a' }, IMAGE, SOUND] }],
}

const rig = (fleet: Parameters<typeof open>[2]) =>
  open(vllmRouter, `--worker-urls ${W1}`, fleet, {
    healthInterval: 'off',
    dialectOptions: { encoders: [E1, E2] },
  })

test('each medium of a chat goes to an encode worker before the chat goes on', async () => {
  const [worker, first, second] = [engine(), engine(), engine()]
  const { ask } = await rig({ [W1]: worker, [E1]: first, [E2]: second })
  assert.equal((await ask(CHAT, { body })).status, 200)
  const told = [...callsOf(first), ...callsOf(second)].map(({ body }) => JSON.parse(String(body)) as never)
  assert.deepEqual(
    told,
    [IMAGE, SOUND].map((part) => ({
      model: 'm',
      messages: [{ role: 'user', content: [part] }],
      max_tokens: 1,
      stream: false,
    })),
  )
  assert.equal(callsOf(worker).length, 1)
})

test('a chat of words alone goes straight to its worker', async () => {
  const [worker, first] = [engine(), engine()]
  const { ask } = await rig({ [W1]: worker, [E1]: first, [E2]: engine() })
  await ask(CHAT, { body: { model: 'm', messages: [{ role: 'user', content: 'a' }] } })
  assert.deepEqual([callsOf(first).length, callsOf(worker).length], [0, 1])
})

test('encode workers that are away cost no call, and are told once', async () => {
  const { ask, logged } = await rig({ [W1]: engine(), [E1]: null, [E2]: null })
  for (let i = 0; i < 2; i++) assert.equal((await ask(CHAT, { body })).status, 200)
  assert.equal(logged.filter(({ message }) => message.startsWith('encode worker')).length, 1)
})

for (const [text, problem] of [
  [null, '--epd-config: there is no file e.json'],
  ['{}', '--epd-config: e.json has no list encoder_urls'],
  ['no', '--epd-config: e.json has no list encoder_urls'],
] as const)
  test(`a file of encode workers that is ${JSON.stringify(text)} is told at the start`, async () => {
    const readFile = () => Promise.resolve(text)
    const { problems } = await translated(vllmRouter, '--epd-config e.json', { readFile })
    assert.deepEqual(problems, [problem])
  })
