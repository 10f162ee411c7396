import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { callsOf, chat, engine, eventually } from '../journeys/_rig.ts'
import { CHAT, open, W1 } from './_rig.ts'

const PATH = './callbacks.mjs'

/** A module that writes down what it sees. */
function seeing() {
  const before: {
    readonly path: string
    readonly body: string
    readonly json: unknown
    readonly key: string | null
  }[] = []
  const after: { readonly path: string; readonly text: string }[] = []
  const instance = {
    pre_request(request: Request, body: Uint8Array, json: unknown) {
      const { pathname } = new URL(request.url)
      const key = request.headers.get('x-mine')
      before.push({ path: pathname, body: new TextDecoder().decode(body), json, key })
    },
    async post_request(request: Request, answer: Uint8Array) {
      after.push({ path: new URL(request.url).pathname, text: new TextDecoder().decode(answer) })
    },
  }
  return { before, after, instance }
}

describe('callbacks', () => {
  for (const [where, given, exported] of [
    ['its default export', PATH, (instance: object) => ({ default: instance })],
    ['the export named', `${PATH}#mine`, (instance: object) => ({ mine: instance, default: {} })],
    ['any export that has them', PATH, (instance: object) => ({ version: 1, handler: instance })],
    ['the module itself', PATH, (instance: object) => ({ ...instance })],
  ] as const) {
    test(`see the request and the answer as functions of ${where}`, async () => {
      const { before, after, instance } = seeing()
      const worker = engine()
      const { ask } = await open(
        { [W1]: worker },
        { callbacks: given },
        { modules: { [PATH]: exported(instance) } },
      )
      const body = JSON.stringify(chat())
      const reply = await ask(CHAT, { method: 'POST', body, headers: { 'x-mine': 'k' } })
      assert.equal(reply.status, 200)
      assert.deepEqual(before, [{ path: CHAT, body, json: chat(), key: 'k' }])
      await eventually(
        () => after.length === 1,
        () => 'post_request was not called',
      )
      assert.deepEqual(after, [{ path: CHAT, text: reply.text }])
      assert.equal(callsOf(worker).length, 1)
    })
  }

  test('see the whole of a stream', async () => {
    const { after, instance } = seeing()
    const { ask } = await open(
      { [W1]: engine() },
      { callbacks: PATH },
      { modules: { [PATH]: { default: instance } } },
    )
    const { text } = await ask(CHAT, { body: chat({ stream: true }) })
    await eventually(
      () => after.length === 1,
      () => 'post_request was not called',
    )
    assert.equal(after[0]?.text, text)
  })

  test('answer in place of the fleet, under the id of the request', async () => {
    const worker = engine()
    const instance = {
      pre_request: () => Response.json({ error: 'no' }, { status: 418, headers: { 'x-a': 'b' } }),
    }
    const { ask } = await open(
      { [W1]: worker },
      { callbacks: PATH },
      { modules: { [PATH]: { default: instance } } },
    )
    const reply = await ask(CHAT, { body: chat(), headers: { 'x-request-id': 'rid' } })
    assert.deepEqual([reply.status, reply.json], [418, { error: 'no' }])
    assert.deepEqual([reply.headers.get('x-request-id'), reply.headers.get('x-a')], ['rid', 'b'])
    assert.equal(callsOf(worker).length, 0)
  })

  test('that throw, or hang in post_request, break no call', async () => {
    const instance = {
      pre_request: () => {
        throw new Error('oh')
      },
      post_request: () => new Promise(() => undefined),
    }
    const { ask, logged } = await open(
      { [W1]: engine() },
      { callbacks: PATH },
      { modules: { [PATH]: { default: instance } } },
    )
    assert.equal((await ask(CHAT, { body: chat() })).status, 200)
    assert.equal((await ask(CHAT, { body: chat() })).status, 200)
    assert.equal(logged.filter(({ message }) => message.startsWith('pre_request failed')).length, 2)
  })

  test('hear of no answer that is an error', async () => {
    const { after, instance } = seeing()
    const { ask } = await open(
      { [W1]: engine({ fault: 'status=400' }) },
      { callbacks: PATH },
      { modules: { [PATH]: { default: instance } } },
    )
    assert.equal((await ask(CHAT, { body: chat() })).status, 400)
    assert.equal(after.length, 0)
  })

  const problems: readonly [given: string, exported: Record<string, unknown>, why: RegExp][] = [
    [
      'my_module.my_instance',
      {},
      /names a Python object, which can't be loaded here: write it as an ES module/,
    ],
    ['./missing.mjs', {}, /\.\/missing\.mjs can't be loaded/],
    [PATH, { default: { other() {} } }, /\.\/callbacks\.mjs exports no pre_request or post_request/],
    [`${PATH}#x`, { default: { pre_request() {} } }, /\.\/callbacks\.mjs#x exports no/],
  ]
  for (const [given, exported, why] of problems)
    test(`${given} with ${Object.keys(exported).length} exports is refused with a sentence`, async () => {
      await assert.rejects(
        open({ [W1]: engine() }, { callbacks: given }, { modules: { [PATH]: exported } }),
        why,
      )
    })
})

describe('a rewriter', () => {
  const rewriting = (rewrite_request: (body: string, model: string, endpoint: string) => unknown) => ({
    modules: { './r.mjs': { default: { rewrite_request } } },
  })
  const config = { requestRewriter: './r.mjs' }

  test('changes a body before its model is looked at, aliases too', async () => {
    const worker = engine()
    const seen: unknown[] = []
    const { ask } = await open(
      { [W1]: worker },
      { ...config, aliases: { nick: 'm' } },
      rewriting((body, model, endpoint) => {
        seen.push([model, endpoint])
        return { ...(JSON.parse(body) as object), model: 'nick', max_tokens: 3 }
      }),
    )
    const reply = await ask(CHAT, { body: chat({ model: 'nobody-has-this' }) })
    assert.equal(reply.status, 200)
    assert.deepEqual(seen, [['nobody-has-this', CHAT]])
    const sent = JSON.parse(callsOf(worker)[0]?.body ?? '') as Record<string, unknown>
    assert.deepEqual([sent['model'], sent['max_tokens']], ['m', 3])
  })

  for (const [what, rewrite] of [
    ['returns nothing', () => undefined],
    ['throws', () => assert.fail('oh')],
    ['returns no JSON object', () => 'nonsense'],
  ] as const)
    test(`that ${what} leaves the body as it came`, async () => {
      const worker = engine()
      const { ask } = await open({ [W1]: worker }, config, rewriting(rewrite))
      const body = JSON.stringify(chat())
      assert.equal((await ask(CHAT, { method: 'POST', body })).status, 200)
      assert.equal(callsOf(worker)[0]?.body, body)
    })

  test('may return text', async () => {
    const worker = engine()
    const { ask } = await open(
      { [W1]: worker },
      config,
      rewriting((body) => body.replace('"max_tokens":8', '"max_tokens":2')),
    )
    await ask(CHAT, { body: chat() })
    assert.match(callsOf(worker)[0]?.body ?? '', /"max_tokens":2/)
  })
})
