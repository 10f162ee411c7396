// production-stack's router in Kubernetes: pods and services as its workers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { productionStack } from '../../src/dialects/production-stack/index.ts'
import type { Engine } from '../../src/simulator/engine.ts'
import { Cluster, pod, type PodOptions } from '../discovery/kubernetes/_cluster.ts'
import { callsOf, CHAT, chat, engine, type Fleet, type Json } from '../journeys/_rig.ts'
import { rig } from './_rig.ts'

const [A, B] = ['http://10.0.0.1:8000', 'http://10.0.0.2:8000'] as const

/** A router beside a cluster, in the namespace that its flags name by default. */
async function open(line: string, fleet: Fleet, fill: (cluster: Cluster) => void) {
  const cluster = new Cluster()
  fill(cluster)
  const besides = { kubernetesApi: 'http://cluster', movesClock: true, lends: { outside: cluster.outside() } }
  const whole = `--service-discovery k8s --routing-logic ${line}`
  const router = await rig(productionStack, whole, fleet, besides)
  await router.pass(10)
  return { ...router, cluster }
}

const put = (cluster: Cluster, uid: string, options: PodOptions = {}) =>
  cluster.put('pods', pod(uid, { namespace: 'default', labels: {}, ...options }))
const pods =
  (a: PodOptions = {}, b: PodOptions = {}) =>
  (cluster: Cluster) => {
    put(cluster, 'a', { ip: '10.0.0.1', ...a })
    put(cluster, 'b', { ip: '10.0.0.2', ...b })
  }
const counts = (fleet: Fleet) =>
  Object.values(fleet).map((one) => callsOf(one as Engine).filter(({ path }) => path === CHAT).length)

test('without a selector every pod of the namespace is an engine, with an id of its own that stays', async () => {
  const fleet = { [A]: engine(), [B]: engine({ models: ['n'] }) }
  const router = await open('roundrobin', fleet, pods())
  const engines = (await router.ask('/engines')).json as Json[]
  assert.deepEqual(
    engines.map((one) => one.serving_models),
    [['m'], ['n']],
  )
  const again = await open('roundrobin', fleet, pods())
  assert.deepEqual(
    ((await again.ask('/engines')).json as Json[]).map((one) => one.engine_id),
    engines.map((one) => one.engine_id),
  )
})

test('a model whose pods are gone is unavailable, one that never was is unknown', async () => {
  const router = await open('roundrobin', { [A]: engine(), [B]: engine() }, pods())
  assert.equal((await router.ask(CHAT, { body: chat() })).status, 200)
  router.cluster.remove('pods', 'a')
  router.cluster.remove('pods', 'b')
  await router.pass(100)
  const gone = await router.ask(CHAT, { body: chat() })
  assert.deepEqual(gone.json, { error: "Model 'm' is temporarily unavailable. Please try again later." })
  assert.equal(gone.status, 503)
  assert.equal((await router.ask(CHAT, { body: chat({ model: 'x' }) })).status, 404)
})

test('a pod that is labelled as sleeping gets no calls', async () => {
  const fleet = { [A]: engine(), [B]: engine() }
  const router = await open('roundrobin', fleet, pods({ labels: { sleeping: 'true' } }))
  for (let i = 0; i < 2; i++) await router.ask(CHAT, { body: chat() })
  assert.deepEqual(counts(fleet), [0, 2])
  put(router.cluster, 'a', { ip: '10.0.0.1' })
  await router.pass(100)
  for (let i = 0; i < 2; i++) await router.ask(CHAT, { body: chat() })
  assert.deepEqual(counts(fleet), [1, 3])
})

test('whoever told an engine to sleep, it gets no calls until it is awake', async () => {
  let isAsleep = true
  const inner = engine()
  const fetch: Engine['fetch'] = (request) =>
    request.url.endsWith('/is_sleeping')
      ? Promise.resolve(Response.json({ is_sleeping: isAsleep }))
      : inner.fetch(request)
  const fleet = { [A]: { ...inner, fetch }, [B]: engine() }
  const router = await open('roundrobin', fleet, pods())
  await router.pass(31_000)
  for (let i = 0; i < 2; i++) await router.ask(CHAT, { body: chat() })
  assert.deepEqual(counts(fleet), [0, 2])
  isAsleep = false
  await router.pass(31_000)
  for (let i = 0; i < 2; i++) await router.ask(CHAT, { body: chat() })
  assert.deepEqual(counts(fleet), [1, 3])
})

test('the label of a pod says which part of a pair it is', async () => {
  const fleet = { [A]: engine(), [B]: engine() }
  const line = 'disaggregated_prefill --prefill-model-labels pre,other --decode-model-labels dec'
  const router = await open(line, fleet, pods({ labels: { model: 'pre' } }, { labels: { model: 'dec' } }))
  assert.equal((await router.ask(CHAT, { body: chat({ max_tokens: 4 }) })).status, 200)
  const told = Object.values(fleet).map(
    (one) => JSON.parse(callsOf(one)[0]?.body ?? '{}').max_tokens as number,
  )
  assert.deepEqual(told, [1, 4])
})

test('with service-name each service with a ready pod is an engine, by its name and the labels of its pods', async () => {
  const fleet = { 'http://svc-a:8000': engine(), 'http://svc-b:8000': engine() }
  const line = 'roundrobin --k8s-service-discovery-type service-name --k8s-label-selector app=llm'
  const router = await open(line, fleet, (cluster) => {
    for (const [name, ip] of [
      ['svc-a', '10.0.0.1'],
      ['svc-b', null],
    ] as const) {
      const metadata = { name, namespace: 'default', uid: name, labels: { app: 'llm' } }
      cluster.put('services', { metadata, spec: { selector: { model: name } } } as never)
      cluster.put('endpoints', { metadata, subsets: ip === null ? [] : [{ addresses: [{ ip }] }] } as never)
    }
  })
  for (let i = 0; i < 2; i++) await router.ask(CHAT, { body: chat() })
  assert.deepEqual(counts(fleet), [2, 0])
})
