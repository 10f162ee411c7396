// What engines behind LMDeploy's proxy are told of the client.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forwarded } from '../../../src/dialects/lmdeploy-proxy/forwarded.ts'
import { lmdeployProxy } from '../../../src/dialects/lmdeploy-proxy/index.ts'
import type { Call } from '../../../src/openai/call.ts'
import { callsOf, chat, CHAT, engine, headerOf } from '../../journeys/_rig.ts'
import { engineAt, post, run } from '../programs/_running.ts'

/** The headers that an engine gets; `address`: of the client's socket. */
function told(headers: Record<string, string>, address?: string): Record<string, string> {
  const request = Object.assign(new Request('https://router:9/v1/x', { headers }), {
    remoteAddress: address,
  })
  const passed = Object.entries(headers).flat()
  const call = forwarded({ headers: { passed, keys: [] } } as unknown as Call, request)
  const list = call.headers.passed
  const pairs = list.flatMap((name, i) => (i % 2 === 0 ? [[name, list[i + 1] ?? '']] : []))
  assert.equal(new Set(pairs.map(([name]) => name)).size, pairs.length, 'a header came twice')
  return Object.fromEntries(pairs) as Record<string, string>
}

for (const [says, headers, address, expected] of [
  ['the client’s address', {}, '10.0.0.7', '10.0.0.7'],
  ['an IPv4 address as such', {}, '::ffff:10.0.0.7', '10.0.0.7'],
  ['who called whom', { 'x-forwarded-for': '1.2.3.4' }, '10.0.0.7', '1.2.3.4, 10.0.0.7'],
  ['what the edge says where there are no sockets', { 'cf-connecting-ip': '5.6.7.8' }, undefined, '5.6.7.8'],
  ['nothing where nobody knows', {}, undefined, undefined],
] as const)
  test(`X-Forwarded-For tells ${says}`, () => {
    assert.equal(told(headers, address)['x-forwarded-for'], expected)
  })

test('host and protocol are those by which the client came in, or an outer proxy says', () => {
  const own = told({ host: 'router:9' })
  assert.deepEqual([own['x-forwarded-host'], own['x-forwarded-proto']], ['router:9', 'https'])
  const outer = told({ host: 'router:9', 'x-forwarded-host': 'out', 'x-forwarded-proto': 'http' })
  assert.deepEqual([outer['x-forwarded-host'], outer['x-forwarded-proto']], ['out', 'http'])
})

for (const before of ['', '10.9.8.7'])
  test(`an engine on a socket is told the client’s address${before && ', behind that of who called before'}`, async (t) => {
    const node = engine({ engine: 'lmdeploy' })
    const url = await engineAt(t, node)
    const router = await run(lmdeployProxy, { t, line: '--disable-cache-status --server-name 127.0.0.1' })
    await (await post(router.url, '/nodes/add', { url, status: { models: ['m'] } })).text()
    const headers = before === '' ? {} : { 'x-forwarded-for': before }
    await (await post(router.url, CHAT, chat(), headers)).text()
    const call = callsOf(node).find(({ path }) => path === CHAT)
    assert.equal(headerOf(call, 'x-forwarded-for'), before === '' ? '127.0.0.1' : `${before}, 127.0.0.1`)
    assert.equal(headerOf(call, 'x-forwarded-host'), new URL(router.url).host)
  })
