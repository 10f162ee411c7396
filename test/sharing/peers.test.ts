import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chat, eventually } from '../journeys/_rig.ts'
import { routers, urlOf, type Router } from './_routers.ts'

const PEERS = { peers: [urlOf(0), urlOf(1)] }
const words = 'and so it goes on '.repeat(200)

test('routers tell each other where prompts went and what they have there, and do not hear themselves', async (t) => {
  const rig = await routers({ ...PEERS }, { ...PEERS })
  t.after(() => rig.close())
  const [one, other] = rig.all as [Router, Router]
  const homes = new Map<string, string | null>()
  for (let i = 0; i < 6; i++) {
    const answer = await one.post(chat({ messages: [{ role: 'user', content: `${i} ${words}` }] }))
    await answer.text()
    homes.set(String(i), answer.headers.get('x-fetchway-worker'))
  }
  await eventually(
    () => other.heard.some(({ text }) => text.includes('"hear"')),
    () => 'the other router is told',
  )
  const pool = other.host.pool('main')
  await eventually(
    async () => (await pool.view()).workers.reduce((sum, { index_tokens: tokens }) => sum + tokens, 0) > 3000,
    () => 'the other router knows the prompts',
  )
  for (const [name, home] of homes) {
    const answer = await other.post(chat({ messages: [{ role: 'user', content: `${name} ${words}` }] }))
    await answer.text()
    assert.equal(answer.headers.get('x-fetchway-worker'), home)
  }
  const own = await one.host.pool('main').view()
  assert.equal(
    own.workers.reduce((sum, { served }) => sum + served, 0),
    6,
  )
})

test('a peer that is away costs nothing', async (t) => {
  const rig = await routers({ ...PEERS }, { ...PEERS })
  t.after(() => rig.close())
  const [one, other] = rig.all as [Router, Router]
  other.state = 'down'
  for (let i = 0; i < 3; i++) {
    const answer = await one.post()
    assert.equal(answer.status, 200)
    await answer.text()
  }
  assert.ok(one.logged.every(({ level }) => level === 'debug' || level === 'info'))
})
