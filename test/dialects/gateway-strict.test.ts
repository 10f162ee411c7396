import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Config } from '../../src/config/schema.ts'
import type { Dialect } from '../../src/dialects/dialect.ts'
import { sglangRouter } from '../../src/dialects/sglang-router/index.ts'
import { vllmRouter } from '../../src/dialects/vllm-router/index.ts'
import { chat, engine as fake } from '../journeys/_rig.ts'
import { rig as open, type Server } from './_rig.ts'
import { configOf } from './_translate.ts'

const W1 = 'http://w1:8000'
const CHAT = '/v1/chat/completions'

type Row = readonly [
  what: string,
  dialect: Dialect,
  line: string,
  key: keyof Config,
  plain: unknown,
  strict: unknown,
]

const ROWS: readonly Row[] = [
  ['streams that go well are not cut', sglangRouter, '--request-timeout-secs 7', 'totalTimeout', 0, 7000],
  ['streams that go well are not cut', vllmRouter, '--request-timeout-secs 7', 'totalTimeout', 0, 7000],
  ['places come back with their calls', sglangRouter, '--max-concurrent-requests 9', 'refillRate', 0, 9],
  ['places come back with their calls', vllmRouter, '', 'refillRate', 0, 32768],
  ['a rate that is given holds', vllmRouter, '--rate-limit-tokens-per-second 3', 'refillRate', 3, 3],
  ['the window counts', sglangRouter, '--cb-window-duration-secs 9', 'breakerWindow', 9000, 31_536_000_000],
  ['loads are asked for often', vllmRouter, '', 'loadInterval', 2000, 30_000],
  ['clients open no breaker', sglangRouter, '', 'breakerClientErrors', false, true],
]

for (const [what, dialect, line, key, plain, strict] of ROWS)
  test(`${dialect.name}: ${what}, but strictly (${line || 'no flags'})`, async () => {
    assert.deepEqual((await configOf(dialect, line))[key], plain)
    assert.deepEqual((await configOf(dialect, line, { isStrict: true }))[key], strict)
  })

/** What comes after two calls of a client that are wrong. */
async function afterTwo(breakerClientErrors: boolean): Promise<number> {
  const engine = fake({ engine: 'sglang' })
  const picky: Server = {
    fetch: async (request) => {
      const text = request.method === 'POST' ? await request.clone().text() : ''
      return text.includes('wrong') ? new Response('{}', { status: 400 }) : engine.fetch(request)
    },
  }
  const line = `--worker-urls ${W1} --cb-failure-threshold 2`
  const { ask } = await open(
    sglangRouter,
    line,
    { [W1]: picky },
    { healthInterval: 'off', breakerClientErrors },
  )
  const wrong = { ...chat(), user: 'wrong' }
  for (let i = 0; i < 2; i++) assert.equal((await ask(CHAT, { body: wrong })).status, 400)
  return (await ask(CHAT, { body: chat() })).status
}

test('sglang-router: a client that is wrong keeps nobody else from a worker, but strictly', async () => {
  assert.equal(await afterTwo(false), 200)
  assert.equal(await afterTwo(true), 503)
})
