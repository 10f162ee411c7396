// The file in which DLRouter keeps its nodes: what a router writes there, and what it takes from one of before.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileStorage, stateFormat } from '../../adapters/node/disk.ts'
import type { Storage } from '../../src/actors/actor.ts'
import { dlrouter } from '../../src/dialects/dlrouter/index.ts'
import { CHAT, chat, engine, W1, W2, W3, type Fleet } from '../journeys/_rig.ts'
import { speak, type Compat, type Spoken } from './_rig.ts'

const open = (t: TestContext, fleet: Fleet, more: Partial<Spoken> = {}): Promise<Compat> =>
  speak(t, dlrouter, { fleet, flags: '--backend vllm --disable_cache_status', ...more })

async function onDisk(t: TestContext): Promise<{ readonly file: string; readonly storage: () => Storage }> {
  const directory = await mkdtemp(join(tmpdir(), 'fetchway-nodes-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const file = join(directory, 'nodes.json')
  const format = stateFormat({ stateFormat: 'nodes' })
  const storage = () => {
    const disk = fileStorage(file, () => undefined, format)
    const key = (name: string) => `main/${name}`
    return {
      keepsModels: true,
      get: (name: string) => disk.get(key(name)),
      put: (name: string, value: unknown) => disk.put(key(name), value),
      delete: (name: string) => disk.delete(key(name)),
    }
  }
  return { file, storage }
}

test('nodes are kept in its file, in its format, and are there again after a restart', async (t) => {
  const { file, storage } = await onDisk(t)
  const fleet = { [W1]: engine(), [W2]: engine() }
  const before = await open(t, fleet, { storage: storage() })
  await before.post('/nodes/add', { url: W1 })
  await before.post('/nodes/add', { url: W2, status: { models: ['m'], role: 1, speed: 2.5 } })
  await before.until(async () => (await readFile(file, 'utf8')).includes('speed'), 'never written')
  const written = JSON.parse(await readFile(file, 'utf8')) as Record<string, string>
  assert.deepEqual(Object.keys(written).toSorted(), [W1, W2])
  assert.deepEqual(JSON.parse(written[W2] ?? ''), {
    role: 1,
    models: ['m'],
    zmq_address: null,
    unfinished: 0,
    latency: [],
    speed: 2.5,
  })
  assert.deepEqual(JSON.parse(written[W1] ?? '').models, ['m'])
  const after = await open(t, fleet, { storage: storage() })
  const nodes = (await after.ask('/nodes/status')).body
  assert.deepEqual(Object.keys(nodes).toSorted(), [W1, W2])
  assert.equal(nodes[W2].speed, 2.5)
  assert.equal((await after.post(CHAT, chat())).status, 200)
})

test('its file of before is read, without the calls of that time', async (t) => {
  const { file, storage } = await onDisk(t)
  const status = { role: 1, models: ['m'], zmq_address: null, unfinished: 7, latency: [0.5], speed: null }
  await writeFile(file, JSON.stringify({ [W1]: JSON.stringify(status) }, null, 2))
  const router = await open(t, { [W1]: engine() }, { storage: storage() })
  const { models, unfinished, latency } = (await router.ask('/nodes/status')).body[W1]
  assert.deepEqual({ models, unfinished, latency }, { models: ['m'], unfinished: 0, latency: [0.5] })
})

test('ranks of before give way to those that the command line names', async (t) => {
  const { file, storage } = await onDisk(t)
  const status = JSON.stringify({ role: 2, models: ['m'] })
  const stale = Object.fromEntries([0, 1, 2, 3].map((rank) => [`${W1}@${rank}`, status]))
  await writeFile(file, JSON.stringify(stale))
  const flags = `--backend vllm --serving_strategy distserve --prefill_urls ${W1} --decode_urls ${W2} --models m --intra_node_data_parallel_size 2`
  const router = await open(t, { [W1]: engine(), [W2]: engine() }, { flags, storage: storage() })
  const nodes = Object.keys((await router.ask('/nodes/status')).body)
  assert.deepEqual(nodes, [`${W1}@0`, `${W1}@1`, `${W2}@0`, `${W2}@1`])
})

test('nodes of the command line are in the file, and come from the command line alone', async (t) => {
  const { file, storage } = await onDisk(t)
  const pairOf = (urls: string) => ({
    flags: `--backend vllm --serving_strategy distserve ${urls} --models m --intra_node_data_parallel_size 2`,
    storage: storage(),
  })
  const kept = async () => {
    const entries = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as Record<string, string>
    return Object.entries(entries).map(
      ([url, text]) => `${url} ${(JSON.parse(text) as { role: number }).role}`,
    )
  }
  const first = await open(t, {}, pairOf(`--prefill_urls ${W1} --decode_urls ${W2}`))
  const ranks = (url: string, role: number) => [`${url}@0 ${role}`, `${url}@1 ${role}`]
  await first.until(async () => (await kept()).length > 0, 'never written')
  assert.deepEqual(await kept(), [...ranks(W1, 2), ...ranks(W2, 3)])
  const second = await open(t, {}, pairOf(`--prefill_urls ${W1} --decode_urls ${W3}`))
  assert.deepEqual(
    Object.keys((await second.ask('/nodes/status')).body),
    [W1, W3].flatMap((url) => [`${url}@0`, `${url}@1`]),
  )
  await second.until(async () => (await kept()).join().includes(W3), 'never written anew')
  assert.deepEqual(await kept(), [...ranks(W1, 2), ...ranks(W3, 3)])
})
