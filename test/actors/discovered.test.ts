// The registry with Kubernetes as a source: an API server by script, and time that tests move.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ConfigInput } from '../../src/config/schema.ts'
import { configSchema } from '../../src/config/schema.ts'
import type { KubeObject } from '../../src/discovery/kubernetes/objects.ts'
import { Cluster, pod, type PodOptions } from '../discovery/kubernetes/_cluster.ts'
import { settle } from '../_clock.ts'
import { isPending, registryRig, spec } from './_registry.ts'

const CONFIG: ConfigInput = {
  discover: ['kubernetes'],
  kubernetesApi: 'http://cluster',
  kubernetesNamespace: 'models',
  kubernetesSelector: 'app=engine',
}
const RESYNC = 30_000

async function rig(config: ConfigInput = {}, cluster = new Cluster()) {
  const whole = { ...CONFIG, ...config }
  const rigged = registryRig(whole, {}, { outside: cluster.outside() })
  await rigged.start()
  await rigged.clock.advance(1)
  const { registry } = rigged
  const put = async (uid: string, options: PodOptions = {}) => {
    cluster.put('pods', pod(uid, options))
    await settle()
  }
  const remove = async (uid: string) => {
    cluster.remove('pods', uid)
    await settle()
  }
  const urls = () => registry.list().map(({ url, draining }) => `${url}${draining ? ' draining' : ''}`)
  return { ...rigged, cluster, put, remove, urls, config: whole }
}

const A = 'http://10.0.0.1:8000'

describe('a pod that is watched', () => {
  it('comes when it is ready, drains when it is ending, and goes', async () => {
    const { put, remove, urls, registry } = await rig()
    await put('a', { isReady: false })
    assert.deepEqual(urls(), [])
    await put('a')
    assert.deepEqual(urls(), [A])
    assert.equal(registry.list()[0]?.source, 'discovery')
    await put('a', { isTerminating: true })
    assert.deepEqual(urls(), [`${A} draining`])
    await remove('a')
    assert.deepEqual(urls(), [])
  })

  it('is asked what it is at once', async () => {
    const { put, asked, clock } = await rig()
    await put('a')
    await clock.advance(0)
    assert.equal(asked.get(A)?.length, 1)
  })

  it('is another worker when another pod has its address', async () => {
    const { put, registry, cluster } = await rig()
    await put('a')
    const before = registry.list()[0]?.id
    // Both are there for a while; the one that is leaving gives way.
    await put('a', { isTerminating: true })
    await put('b')
    const [worker, ...others] = registry.list()
    assert.deepEqual([others.length, worker?.draining], [0, false])
    assert.notEqual(worker?.id, before)
    cluster.remove('pods', 'a')
    await settle()
    assert.equal(registry.list()[0]?.id, worker?.id)
  })

  it('keeps its id over a restart of the router', async () => {
    const first = await rig()
    await first.put('a')
    const second = await rig({}, first.cluster)
    assert.equal(second.registry.list()[0]?.id, first.registry.list()[0]?.id)
  })

  it('carries the key and the headers of all', async () => {
    const { put, headers, clock } = await rig({
      workerApiKey: 'secret',
      kubernetesHeaders: { 'x-team': 'one' },
    })
    await put('a')
    await clock.advance(0)
    const sent = (headers.get(A) ?? []).join(' ')
    assert.match(sent, /authorization Bearer secret/)
    assert.match(sent, /x-team one/)
  })
})

// No worker that is gone stays for longer than one round of lists, whatever the watch does.
describe('a worker that is gone', () => {
  const faults: readonly [string, (cluster: Cluster) => void, (cluster: Cluster) => void][] = [
    ['whose DELETED is lost', (c) => c.lost.add('DELETED'), (c) => c.remove('pods', 'a')],
    ['while the watch is silent', (c) => void (c.isSilent = true), (c) => c.remove('pods', 'a')],
    ['that lost its address', (c) => c.lost.add('MODIFIED'), (c) => c.put('pods', pod('a', { ip: '' }))],
    [
      'that lost its labels',
      (c) => c.lost.add('DELETED'),
      (c) => c.put('pods', pod('a', { labels: { app: 'web' } })),
    ],
    [
      'that was evicted',
      (c) => c.lost.add('MODIFIED'),
      (c) => c.put('pods', pod('a', { phase: 'Failed', ip: '' })),
    ],
  ]
  for (const [title, fault, change] of faults)
    it(`${title} is gone after one resync`, async () => {
      const { put, urls, cluster, clock } = await rig()
      await put('a')
      await put('b', { ip: '10.0.0.2' })
      fault(cluster)
      change(cluster)
      await clock.advance(RESYNC)
      assert.deepEqual(urls(), ['http://10.0.0.2:8000'])
    })

  it('that is not ready any more gets no calls after one resync, and gets them again', async () => {
    const { put, urls, cluster, clock } = await rig()
    await put('a')
    cluster.isSilent = true
    await put('a', { isReady: false })
    await clock.advance(RESYNC)
    assert.deepEqual(urls(), [`${A} draining`])
    await put('a')
    await clock.advance(RESYNC)
    assert.deepEqual(urls(), [A])
  })

  it('stays known while the API server is away', async () => {
    const { put, urls, cluster, clock } = await rig()
    await put('a')
    cluster.refusal = 500
    cluster.endWatches()
    await clock.advance(10 * RESYNC)
    assert.deepEqual(urls(), [A])
  })
})

describe('services as workers', () => {
  it('come with a ready address, go without, and are known once both lists are', async () => {
    const cluster = new Cluster()
    const metadata = { name: 'llama', namespace: 'models', labels: { app: 'engine' } }
    cluster.put('services', { metadata: { ...metadata, uid: 's' } })
    const endpoints = (addresses: readonly object[]) =>
      cluster.put('endpoints', {
        metadata: { ...metadata, uid: 'e' },
        subsets: [{ addresses }],
      } as KubeObject)
    endpoints([{ ip: '10.0.0.1' }])
    const { urls } = await rig({ kubernetesTarget: 'services' }, cluster)
    assert.deepEqual(urls(), ['http://llama:8000'])
    endpoints([])
    await settle()
    assert.deepEqual(urls(), [])
    endpoints([{ ip: '10.0.0.2' }])
    await settle()
    assert.deepEqual(urls(), ['http://llama:8000'])
    cluster.remove('services', 's')
    await settle()
    assert.deepEqual(urls(), [])
  })
})

describe('beside other sources', () => {
  it('a worker that is configured has the URL for itself', async () => {
    const { put, registry } = await rig({ workers: [A] })
    await put('a')
    assert.deepEqual(
      registry.list().map(({ source }) => source),
      ['flag'],
    )
  })

  it('one that the API adds takes the place of a found one, which comes back after it', async () => {
    const { put, registry } = await rig()
    await put('a')
    const added = await registry.add(spec(A), 'api')
    assert.ok('worker' in added)
    assert.deepEqual(
      registry.list().map(({ source }) => source),
      ['api'],
    )
    await registry.remove(added.worker.id)
    assert.deepEqual(
      registry.list().map(({ source }) => source),
      ['discovery'],
    )
  })

  it('one that the API removes stays away as long as its pod lives', async () => {
    const { put, registry, remove, urls } = await rig()
    await put('a')
    await registry.remove(registry.list()[0]?.id ?? '')
    await put('a', { labels: { app: 'engine', changed: 'yes' } })
    assert.deepEqual(urls(), [])
    await remove('a')
    await put('b')
    assert.deepEqual(urls(), [A])
  })

  it("an operator's drain outlives changes of the pod", async () => {
    const { put, registry, urls } = await rig()
    await put('a')
    await registry.patch(registry.list()[0]?.id ?? '', { draining: true })
    await put('a', { labels: { app: 'engine', changed: 'yes' } })
    assert.deepEqual(urls(), [`${A} draining`])
  })
})

describe('a reload', () => {
  it('with another selector replaces the found workers', async () => {
    const { put, registry, config, urls, clock, cluster } = await rig()
    await put('a')
    await put('b', { ip: '10.0.0.2', labels: { app: 'other' } })
    registry.configure(configSchema.parse({ ...config, kubernetesSelector: 'app=other' }))
    await clock.advance(1)
    assert.deepEqual(urls(), ['http://10.0.0.2:8000'])
    assert.equal(cluster.watches, 1)
  })

  it('without discovery removes them, and stops watching', async () => {
    const { put, registry, urls, clock, cluster } = await rig()
    await put('a')
    registry.configure(configSchema.parse({}))
    await clock.advance(1)
    assert.deepEqual(urls(), [])
    assert.equal(cluster.watches, 0)
  })

  it('that changes nothing of it leaves the watch alone', async () => {
    const { registry, config, clock, cluster } = await rig()
    const before = cluster.asked.length
    registry.configure(configSchema.parse({ ...config, retries: 1 }))
    await clock.advance(1)
    assert.equal(cluster.asked.length, before)
  })
})

describe('whoever waits for the first workers', () => {
  it('waits for the first list', async () => {
    const cluster = new Cluster()
    cluster.put('pods', pod('a'))
    const { registry, start, clock } = registryRig(CONFIG, {}, { outside: cluster.outside() })
    await start()
    await clock.advance(1)
    assert.equal(await isPending(registry.settled()), false)
    assert.equal(registry.list().length, 1)
  })

  it('waits no longer when the API server refuses', async () => {
    const cluster = new Cluster()
    cluster.refusal = 403
    const { registry } = await rig({}, cluster)
    assert.equal(await isPending(registry.settled()), false)
    const [status] = registry.sources()
    assert.match(status?.problem ?? '', /403/)
    assert.equal(status?.synced_at, null)
  })

  it('is told why there are none where no API server is known', async () => {
    const { kubernetesApi: _, ...bare } = CONFIG
    const { registry, start, clock, logs } = registryRig(bare, {}, { outside: new Cluster().outside() })
    await start()
    await clock.advance(1)
    assert.equal(await isPending(registry.settled()), false)
    assert.ok(
      logs.some(({ message }) => /no workers are found in Kubernetes: no .* API server/.test(message)),
    )
  })
})
