import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Dialect } from '../../src/dialects/dialect.ts'
import { sglangRouter } from '../../src/dialects/sglang-router/index.ts'
import { vllmRouter } from '../../src/dialects/vllm-router/index.ts'
import { Cluster, pod, type PodOptions } from '../discovery/kubernetes/_cluster.ts'
import { callsOf, chat, engine as fake, type Json } from '../journeys/_rig.ts'
import { rig as open } from './_rig.ts'

const A = 'http://10.0.0.1:8000'
const B = 'http://10.0.0.2:8000'
const C = 'http://10.0.0.3:8000'
const CHAT = '/v1/chat/completions'
const RESYNC = 30_000
const FIND = '--service-discovery --selector app=engine --service-discovery-port 8000 --disable-health-check'

/** Two pods with engines behind them, and a third address where nobody is yet. */
async function rig(dialect: Dialect, more = '') {
  const cluster = new Cluster()
  const put = (uid: string, options: PodOptions) => cluster.put('pods', pod(uid, options))
  put('a', { ip: '10.0.0.1' })
  put('b', { ip: '10.0.0.2' })
  const kind = dialect === sglangRouter ? 'sglang' : 'vllm'
  const engines = { [A]: fake({ engine: kind }), [B]: fake({ engine: kind }), [C]: fake({ engine: kind }) }
  /** Addresses where nobody listens any more. */
  const dead = new Set<string>()
  const fleet = Object.fromEntries(
    Object.entries(engines).map(([url, engine]) => [
      url,
      {
        fetch: (request: Request) =>
          dead.has(url) ? Promise.reject(new TypeError('fetch failed')) : engine.fetch(request),
      },
    ]),
  )
  const besides = { kubernetesApi: 'http://cluster', movesClock: true, lends: { outside: cluster.outside() } }
  const router = await open(dialect, `${FIND} ${more}`.trim(), fleet, besides)
  await router.pass(10)
  const urls = async (): Promise<string[]> => {
    const { workers } = (await router.ask('/workers')).json as { workers: Json[] }
    return workers.map(({ url }) => url as string).toSorted()
  }
  /** Who can be given calls. */
  const healthy = async (): Promise<string[]> => {
    const { workers } = (await router.ask('/workers')).json as { workers: Json[] }
    return workers.filter(({ is_healthy: isHealthy }) => isHealthy).map(({ url }) => url as string)
  }
  return { ...router, cluster, put, urls, healthy, engines, dead }
}

type Rigged = Awaited<ReturnType<typeof rig>>

const ZOMBIES: readonly (readonly [what: string, make: (router: Rigged) => void])[] = [
  ['whose DELETED is lost', ({ cluster }) => (cluster.lost.add('DELETED'), cluster.remove('pods', 'a'))],
  [
    'that goes while the watch is silent',
    ({ cluster }) => ((cluster.isSilent = true), cluster.remove('pods', 'a')),
  ],
  ['that has lost its address', ({ cluster, put }) => (cluster.lost.add('MODIFIED'), put('a', { ip: '' }))],
  [
    'that was evicted',
    ({ cluster, put }) => (cluster.lost.add('MODIFIED'), put('a', { ip: '', phase: 'Failed' })),
  ],
  [
    'whose labels have changed',
    ({ cluster, put }) => (cluster.lost.add('DELETED'), put('a', { ip: '10.0.0.1', labels: { app: 'web' } })),
  ],
  [
    'that is not ready any more',
    ({ cluster, put }) => ((cluster.isSilent = true), put('a', { ip: '10.0.0.1', isReady: false })),
  ],
  [
    'that is terminating',
    ({ cluster, put }) => ((cluster.isSilent = true), put('a', { ip: '10.0.0.1', isTerminating: true })),
  ],
]

for (const dialect of [sglangRouter, vllmRouter]) {
  for (const [what, make] of ZOMBIES)
    test(`${dialect.name}: a pod ${what} gets no calls after one resync`, async () => {
      const router = await rig(dialect)
      assert.deepEqual(await router.healthy(), [A, B])
      make(router)
      await router.pass(RESYNC)
      assert.deepEqual(await router.healthy(), [B])
    })

  test(`${dialect.name}: until then a pod that does not answer costs no call`, async () => {
    const router = await rig(dialect, '--policy round_robin')
    router.cluster.isSilent = true
    router.cluster.remove('pods', 'a')
    router.dead.add(A)
    for (let i = 0; i < 6; i++) assert.equal((await router.ask(CHAT, { body: chat() })).status, 200)
    assert.equal(callsOf(router.engines[B] as never).length, 6)
  })

  test(`${dialect.name}: a pod with another address is another worker`, async () => {
    const router = await rig(dialect)
    router.put('a', { ip: '10.0.0.3' })
    await router.pass(10)
    assert.deepEqual(await router.urls(), [B, C])
  })

  test(`${dialect.name}: a watch whose version is gone goes on from a new list`, async () => {
    const router = await rig(dialect)
    router.cluster.oldest = router.cluster.version + 1
    router.cluster.endWatches()
    router.cluster.remove('pods', 'a')
    await router.pass(10_000)
    assert.deepEqual(await router.urls(), [B])
  })
}

test('who came and went by discovery stands in the metrics of both', async () => {
  const sglang = await rig(sglangRouter)
  sglang.cluster.remove('pods', 'a')
  await sglang.pass(10)
  const text = await sglang.metrics()
  assert.match(text, /^smg_discovery_workers_discovered\{source="kubernetes"\} 1$/m)
  assert.match(text, /^smg_discovery_registrations_total\{source="kubernetes",result="success"\} 2$/m)
  assert.match(text, /^smg_discovery_deregistrations_total\{source="kubernetes",reason="pod_deleted"\} 1$/m)
  const vllm = await rig(vllmRouter)
  assert.match(await vllm.metrics(), /^vllm_router_discovery_updates_total 2$/m)
})
