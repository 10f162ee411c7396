import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { chooser, worker } from './_fleet.ts'

interface Recorded {
  readonly policy: string
  readonly program: string
  readonly workers: readonly string[]
  readonly keys: Readonly<Record<string, number>>
}

const file = new URL('../recordings/rings/rings.json', import.meta.url)
const recorded = JSON.parse(readFileSync(file, 'utf8')) as Recorded[]
const names = [...new Set(recorded.map(({ policy }) => policy))]
const at = (urls: readonly string[]) => urls.map((url, index) => worker(`w-${index}`, { url }))

for (const { policy, program, workers, keys } of recorded) {
  test(`${policy} sends ${Object.keys(keys).length} keys where ${program} sends them, over ${workers.length} workers from ${workers[0]}`, () => {
    const pick = chooser(policy)
    for (const [session, index] of Object.entries(keys))
      assert.equal(pick(at(workers), { session }), `w-${index}`, session.slice(0, 40))
  })
}

test('vllm_consistent_hash hashes the key as it is given where a dialect clears the prefix', () => {
  const { workers, keys } = recorded.find(({ policy }) => policy === 'vllm_consistent_hash')!
  const pick = chooser('vllm_consistent_hash', { vllmKeyPrefix: '' })
  for (const [session, index] of Object.entries(keys))
    assert.equal(pick(at(workers), { session: `header:x-session-id:${session}` }), `w-${index}`)
})

for (const name of [...names, 'session', 'consistent_hash']) {
  test(`${name}: a worker that leaves moves only its own keys, and gets the same ones back`, () => {
    const pick = chooser(name)
    const all = at(Array.from({ length: 5 }, (_, index) => `http://10.1.0.${index}:8000`))
    const sessions = Array.from({ length: 300 }, (_, index) => `key ${index}`)
    const before = sessions.map((session) => pick(all, { session }))
    const without = sessions.map((session) =>
      pick(
        all.filter(({ id }) => id !== 'w-2'),
        { session },
      ),
    )
    const after = sessions.map((session) => pick(all.toReversed(), { session }))
    assert.deepEqual(after, before)
    assert.equal(new Set(before).size, 5)
    for (const [index, id] of before.entries())
      if (id !== 'w-2') assert.equal(without[index], id)
      else assert.notEqual(without[index], id)
  })
}

test('a session goes to its worker under any load, by session; by consistent_hash only within bounds', () => {
  const all = at(['http://a', 'http://b', 'http://c'])
  const home = chooser('session')(all, { session: 's' })
  const loaded = all.map((one) => (one.id === home ? { ...one, inFlight: 500 } : one))
  assert.equal(chooser('session')(loaded, { session: 's' }), home)
  assert.notEqual(chooser('consistent_hash')(loaded, { session: 's' }), home)
})

const withoutSession: [string, string][] = [
  ['vllm_consistent_hash', 'w-1'],
  ['production_stack_session', 'w-1'],
  ['session', 'w-1'],
]
for (const [name, expected] of withoutSession)
  test(`${name} goes by load without a session`, () => {
    assert.equal(chooser(name)([worker('w-0', { inFlight: 2 }), worker('w-1')]), expected)
  })

test('sglang_consistent_hashing goes by chance without a session, dlrouter_consistent_hash by the model', () => {
  const all = at(['http://a', 'http://b', 'http://c'])
  const sglang = chooser('sglang_consistent_hashing')
  const seen = new Set(
    Array.from({ length: 60 }, (_, i) => sglang(all, {}, { random: () => ((i * 7) % 60) / 60 })),
  )
  assert.equal(seen.size, 3)
  const dlrouter = chooser('dlrouter_consistent_hash')
  assert.equal(dlrouter(all, { model: 'llama' }), dlrouter(all, { session: 'llama', model: 'other' }))
})
