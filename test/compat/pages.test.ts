// The pages on which routers of FastAPI describe themselves tell what is there.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadDialect } from '../../src/dialects/index.ts'
import { described } from '../../src/dialects/python/described.ts'
import { engine, W1, type Json } from '../journeys/_rig.ts'
import { speak, type Compat } from './_rig.ts'

/** What each needs to start. */
const STARTS: Readonly<Record<string, { flags: string; environment?: Record<string, string> }>> = {
  dlrouter: { flags: '--disable_cache_status' },
  'lmdeploy-proxy': { flags: '--disable-cache-status' },
  'distributed-llm-router': { flags: '', environment: { VLLM_NODES: W1 } },
  'production-stack': {
    flags: `--service-discovery static --static-backends ${W1} --static-models m --routing-logic roundrobin`,
  },
}

/** Words of an endpoint that is not there, or not by that method. */
const MISSING = [404, 405]

const operations = async (
  router: Compat,
): Promise<(readonly [method: string, path: string, asked: Json])[]> =>
  Object.entries((await router.ask('/openapi.json')).body.paths as Record<string, object>).flatMap(
    ([path, methods]) => Object.entries(methods).map(([method, asked]) => [method, path, asked] as const),
  )

for (const [name, { docs, title }] of Object.entries(described)) {
  test(`${name}: /openapi.json describes what is there`, async (t) => {
    const dialect = await loadDialect(name)
    assert.ok(dialect)
    const router = await speak(t, dialect, { fleet: { [W1]: engine() }, ...STARTS[name]! })
    const { status, body } = await router.ask('/openapi.json')
    assert.equal(status, 200)
    assert.match(body.openapi, /^3\.1/)
    assert.equal(body.info.title, title)
    await router.post('/nodes/add', { url: W1 })
    const all = await operations(router)
    assert.ok(all.some(([method, path]) => method === 'post' && path === '/v1/chat/completions'))
    for (const [method, path] of all) {
      const reply = await router.ask(path, {
        method: method.toUpperCase(),
        ...(method === 'post' && { body: '{"model":"m"}' }),
      })
      assert.ok(!MISSING.includes(reply.status), `${method} ${path}: ${reply.status} ${reply.text}`)
    }
  })

  test(`${name}: each body that is described has a schema`, async (t) => {
    const dialect = await loadDialect(name)
    assert.ok(dialect)
    const router = await speak(t, dialect, { fleet: { [W1]: engine() }, ...STARTS[name]! })
    const { components } = (await router.ask('/openapi.json')).body
    for (const [, path, { requestBody }] of await operations(router)) {
      const reference = requestBody?.content['application/json'].schema.$ref as string | undefined
      if (reference !== undefined) assert.ok(components.schemas[reference.split('/').at(-1) ?? ''], path)
    }
  })

  test(`${name}: the same stands for people at ${docs} and /redoc`, async (t) => {
    const dialect = await loadDialect(name)
    assert.ok(dialect)
    const router = await speak(t, dialect, { fleet: { [W1]: engine() }, ...STARTS[name]! })
    for (const path of [docs, '/redoc']) {
      const { status, headers, text } = await router.ask(path)
      assert.deepEqual([status, headers.get('content-type')], [200, 'text/html; charset=utf-8'])
      assert.match(text, /\/v1\/chat\/completions/)
      assert.doesNotMatch(text, /https?:\/\//)
    }
    assert.equal((await router.ask('/redoc', { method: 'POST', body: '{}' })).status, 405)
    assert.equal((await router.ask('/nothing')).status, 404)
  })
}
