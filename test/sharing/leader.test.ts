import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { ConfigInput } from '../../src/config/schema.ts'
import { ask, planOf } from '../actors/_pool.ts'
import { chat, eventually } from '../journeys/_rig.ts'
import { routers, urlOf, type Router } from './_routers.ts'

async function opened(t: TestContext, ...configs: ConfigInput[]) {
  const rig = await routers(...configs)
  t.after(() => rig.close())
  return rig
}

const LED = { leader: urlOf(0) }
const pair = async (t: TestContext, leader: ConfigInput = {}, follower: ConfigInput = {}) => {
  const { all } = await opened(t, { ...LED, ...leader }, { ...LED, ...follower })
  const [one, other] = all as [Router, Router]
  return { leader: one, follower: other }
}
const servedBy = async ({ host }: Router) =>
  (await host.pool('own').view()).workers.reduce((sum, { served }) => sum + served, 0)
const leasesOf = async ({ host }: Router) => (await host.pool('own').view()).leases
const long = (name: string) =>
  chat({ messages: [{ role: 'user', content: `${name} ${'says so '.repeat(200)}` }] })

test('the leader decides for a router that follows, and has its leases until they end', async (t) => {
  const { leader, follower } = await pair(t)
  const answers = await Promise.all(Array.from({ length: 6 }, () => follower.post()))
  for (const answer of answers) {
    assert.equal(answer.status, 200)
    await answer.text()
  }
  await eventually(
    async () => (await servedBy(leader)) === 6,
    () => 'the leader counts the calls',
  )
  assert.equal(await servedBy(follower), 0)
  await eventually(
    async () => (await leasesOf(leader)) === 0,
    () => 'all leases end',
  )
})

test('a conversation goes to one worker by whichever router it comes', async (t) => {
  const { leader, follower } = await pair(t)
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    const workers: (string | null)[] = []
    for (const router of [follower, leader, follower]) {
      const answer = await router.post(long(name))
      await answer.text()
      workers.push(answer.headers.get('x-fetchway-worker'))
    }
    assert.equal(new Set(workers).size, 1, workers.join())
  }
})

test('an ask is a few hundred bytes, and holds neither prompt nor key of a worker', async (t) => {
  const { leader, follower } = await pair(t, {}, { workerApiKey: 'sesame' })
  const body = chat({ messages: [{ role: 'user', content: 'secret '.repeat(2000) }] })
  await (await follower.post(body)).text()
  const [pick] = leader.heard.filter(({ text }) => text.includes('"pick"'))
  assert.ok(pick && pick.text.length < 1500, `${pick?.text.length} bytes for a prompt of 14 KB`)
  for (const { text } of leader.heard) assert.doesNotMatch(text, /secret|sesame/)
})

test('first tokens and renewals are told to the leader, who has the lease', async (t) => {
  const { leader, follower } = await pair(t)
  const pool = follower.host.pool('main')
  const { worker } = await planOf(pool.pick(ask({ id: 'x' })))
  const backlog = async () =>
    (await leader.host.pool('own').view()).workers.reduce((sum, seat) => sum + seat.backlog_tokens, 0)
  assert.equal(await backlog(), 100)
  await pool.renew([{ id: 'x', worker: worker.id, tokens: 100, isDecoding: false }])
  await pool.note([{ id: 'x', kind: 'first', after: 20 }])
  await eventually(
    async () => (await backlog()) === 0,
    () => 'the backlog falls',
  )
  await eventually(
    () => leader.heard.some(({ text }) => text.includes('"renew"')),
    () => 'it is renewed',
  )
  await pool.settle('x', { kind: 'done', status: 200 })
  await eventually(
    async () => (await leasesOf(leader)) === 0,
    () => 'the lease ends',
  )
})

for (const state of ['down', 'hangs'] as const) {
  test(`while the leader ${state === 'down' ? 'is down' : 'hangs'} a router decides by itself, and follows again when it is back`, async (t) => {
    const { leader, follower } = await pair(t)
    leader.state = state
    const answers = await Promise.all([follower.post(), follower.post()])
    for (const answer of answers) {
      assert.equal(answer.status, 200)
      await answer.text()
    }
    assert.equal(await servedBy(leader), 0)
    await eventually(
      async () => (await servedBy(follower)) === 2,
      () => 'it serves by itself',
    )
    assert.equal(follower.logged.filter(({ message }) => message.startsWith('the leader does not')).length, 1)
    leader.state = 'up'
    await eventually(
      async () => {
        await (await follower.post()).text()
        return (await servedBy(leader)) > 0
      },
      () => 'it follows again',
    )
    assert.ok(follower.logged.some(({ message }) => message === 'the leader answers again'))
  })
}

test('calls that wait for room wait at the leader, and one that is longer than its patience is asked for again', async (t) => {
  const { leader, follower } = await pair(t, { maxInFlight: 1 })
  const pool = leader.host.pool('own')
  await planOf(pool.pick(ask({ id: 'blocker' })))
  const startedAt = performance.now()
  const waiting = follower.post()
  const asked = () => leader.heard.filter(({ text }) => text.includes('"pick"')).length
  await eventually(
    () => asked() === 2,
    () => 'it is not asked again',
  )
  assert.ok(performance.now() - startedAt > 400, 'it is asked again only after a while')
  await pool.settle('blocker', { kind: 'done', status: 200 })
  assert.equal((await waiting).status, 200)
})

test('a worker that the follower does not know is not used: it decides by itself, and the lease of the leader ends', async (t) => {
  const { leader, follower } = await pair(t, {}, { workers: ['http://w2:8000'] })
  const answers = await Promise.all(Array.from({ length: 8 }, () => follower.post()))
  for (const answer of answers) {
    assert.equal(answer.status, 200)
    await answer.text()
  }
  await eventually(
    async () => (await leasesOf(leader)) === 0,
    () => 'nothing is left at the leader',
  )
})

test('what others may say is for those with the key of the control plane', async (t) => {
  const { leader } = await pair(t)
  const post = (body: string, key?: string) =>
    leader.app.fetch(
      new Request('http://here/fetchway/v1/pool', {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(key !== undefined && { authorization: `Bearer ${key}` }),
        },
        body,
      }),
    )
  assert.equal((await post('[]')).status, 401)
  assert.equal((await post('[]', 'between-routers')).status, 200)
  for (const nonsense of ['{', '{}', '[["dance"]]', '[["pick"]]', '[["hear",{"placed":[["w","x"]]}]]']) {
    const answer = await post(nonsense, 'between-routers')
    assert.equal(answer.status, 400, nonsense)
    assert.equal(((await answer.json()) as { error: { code: string } }).error.code, 'invalid_pool_call')
  }
})
