// Data-parallel ranks as the Rust routers show them: each is a worker `url@rank`, and their servers are asked once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sglangRouter } from '../../src/dialects/sglang-router/index.ts'
import { vllmRouter } from '../../src/dialects/vllm-router/index.ts'
import { engine } from '../journeys/_rig.ts'
import { rig, type Rigged } from './_rig.ts'

const [W1, W2] = ['http://w1:8000', 'http://w2:8000'] as const
const RANKS = [`${W1}@0`, `${W1}@1`, `${W2}@0`, `${W2}@1`]

/** A router before two servers of two ranks, and how often their paths were asked for. */
async function ranked(kind: 'sglang' | 'vllm'): Promise<Rigged & { askedFor(path: string): string[] }> {
  const dialect = kind === 'sglang' ? sglangRouter : vllmRouter
  const flags = kind === 'sglang' ? '--dp-aware --api-key k' : '--intra-node-data-parallel-size 2'
  const asked: string[] = []
  const server = (url: string) => {
    const { fetch } = engine({ engine: kind, dpSize: 2 })
    return {
      fetch: (request: Request) => (asked.push(url + new URL(request.url).pathname), fetch(request)),
    }
  }
  const fleet = { [W1]: server(W1), [W2]: server(W2) }
  const rigged = await rig(dialect, `--worker-urls ${W1} ${W2} ${flags}`, fleet, { healthInterval: 'off' })
  return { ...rigged, askedFor: (path) => asked.filter((one) => one.endsWith(path)) }
}

const headers = { authorization: 'Bearer k' }
const urlsOf = (workers: readonly { readonly url: string }[]) => workers.map(({ url }) => url)

for (const kind of ['sglang', 'vllm'] as const) {
  test(`${kind}: each rank is listed once, under its own URL`, async () => {
    const { ask } = await ranked(kind)
    assert.deepEqual((await ask('/list_workers', { headers })).json.urls, RANKS)
    assert.deepEqual(urlsOf((await ask('/workers', { headers })).json.workers), RANKS)
  })

  test(`${kind}: a server is asked for its load once, whatever its ranks`, async () => {
    const { ask, askedFor } = await ranked(kind)
    const path = '/get_load'
    const before = askedFor(path).length
    const { workers } = (await ask('/get_loads', { headers })).json
    assert.deepEqual(
      workers.map(({ worker }: { worker: string }) => worker),
      RANKS,
    )
    assert.equal(askedFor(path).length - before, 2)
  })

  test(`${kind}: a server leaves with all its ranks`, async () => {
    const { ask } = await ranked(kind)
    const { status } = await ask(`/remove_worker?url=${W1}`, { method: 'POST', headers })
    assert.equal(status, 200)
    assert.deepEqual((await ask('/list_workers', { headers })).json.urls, RANKS.slice(2))
  })
}

test('a rank is found by its URL', async () => {
  const { ask } = await ranked('vllm')
  const { status, json } = await ask(`/workers/${encodeURIComponent(`${W1}@1`)}`)
  assert.deepEqual([status, json.url], [200, `${W1}@1`])
})
