import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { configSchema } from '../../../src/config/schema.ts'
import { findAccess } from '../../../src/discovery/kubernetes/access.ts'
import { KubeApi } from '../../../src/discovery/kubernetes/api.ts'
import { ObjectWatch, type WatchRules } from '../../../src/discovery/kubernetes/watch.ts'
import { createClock, settle } from '../../_clock.ts'
import { Cluster, pod } from './_cluster.ts'

const RULES: WatchRules = { relist: 30_000, stall: 90_000 }

/** A watch over a cluster with time that tests move. */
async function rig(cluster = new Cluster(), rules: Partial<WatchRules> = {}) {
  const clock = createClock()
  const config = configSchema.parse({ kubernetesApi: 'http://cluster' })
  const logs: string[] = []
  const log = ({ message }: { message: string }) => void logs.push(message)
  const access = await findAccess(config, cluster.outside())
  let changes = 0
  const seams = { now: clock.now, random: () => 0.5, timer: clock.timer, log }
  const watch = new ObjectWatch(new KubeApi(access), seams, {
    resource: { path: '/api/v1/pods', selector: 'app=engine' },
    rules: { ...RULES, ...rules },
    trim: (object) => object,
    changed: () => void changes++,
  })
  const ended = watch.run()
  await settle()
  const lists = () => cluster.asked.filter(({ query }) => !query.has('watch')).length
  const watches = () => cluster.asked.filter(({ query }) => query.has('watch'))
  const uids = () => [...watch.objects.keys()]
  return { cluster, clock, watch, ended, logs, lists, watches, uids, changes: () => changes }
}

describe('a watch', () => {
  it('begins with a list and goes on from it', async () => {
    const cluster = new Cluster()
    cluster.put('pods', pod('a'))
    const { uids, watches, watch } = await rig(cluster)
    assert.deepEqual(uids(), ['a'])
    cluster.put('pods', pod('b'))
    await settle()
    assert.deepEqual(uids(), ['a', 'b'])
    cluster.remove('pods', 'a')
    await settle()
    assert.deepEqual(uids(), ['b'])
    const query = watches()[0]?.query ?? new URLSearchParams()
    assert.equal(query.get('resourceVersion'), '101')
    assert.equal(query.get('allowWatchBookmarks'), 'true')
    assert.ok(Number(query.get('timeoutSeconds')) >= 300)
    watch.stop()
  })

  it('that the server ends goes on where it was, bookmarks included', async () => {
    const { cluster, watches, lists, watch } = await rig()
    cluster.put('pods', pod('web', { labels: { app: 'web' } }))
    cluster.bookmark()
    await settle()
    cluster.endWatches()
    await settle()
    assert.deepEqual(
      watches().map(({ query }) => query.get('resourceVersion')),
      ['100', '101'],
    )
    assert.equal(lists(), 1)
    watch.stop()
  })

  for (const goneBy of ['status', 'event'] as const)
    it(`whose version is gone (told by ${goneBy}) lists again at once`, async () => {
      const { cluster, uids, lists, watch } = await rig()
      cluster.put('pods', pod('a'))
      await settle()
      Object.assign(cluster, { goneBy, oldest: 1000 })
      cluster.lost.add('ADDED')
      cluster.put('pods', pod('b'))
      cluster.endWatches()
      await settle()
      assert.deepEqual(uids(), ['a', 'b'])
      assert.ok(lists() >= 2)
      watch.stop()
    })

  it('that falls silent is given up, and what it missed is there', async () => {
    const { cluster, clock, uids, watch } = await rig(new Cluster(), { relist: 0 })
    cluster.isSilent = true
    cluster.put('pods', pod('a'))
    await clock.advance(RULES.stall - 1)
    assert.deepEqual(uids(), [])
    await clock.advance(1)
    assert.deepEqual(uids(), ['a'])
    assert.equal(watch.status().staleWatches, 1)
    assert.equal(cluster.watches, 1)
    watch.stop()
  })

  it('is not silent as long as bookmarks come', async () => {
    const { cluster, clock, watch } = await rig(new Cluster(), { relist: 0 })
    for (let i = 0; i < 10; i++) {
      cluster.bookmark()
      await clock.advance(60_000)
    }
    assert.equal(watch.status().staleWatches, 0)
    watch.stop()
  })

  it('that told less than the list is replaced', async () => {
    const { cluster, clock, uids, watches, watch } = await rig()
    cluster.put('pods', pod('a'))
    cluster.put('pods', pod('b'))
    await settle()
    cluster.lost.add('DELETED')
    cluster.remove('pods', 'a')
    await settle()
    assert.deepEqual(uids(), ['a', 'b'])
    await clock.advance(RULES.relist)
    assert.deepEqual(uids(), ['b'])
    assert.equal(watches().length, 2)
    assert.equal(watch.status().staleWatches, 1)
    watch.stop()
  })

  it('knows more than a list that was made up before', async () => {
    const { cluster, clock, uids, watches, watch } = await rig()
    cluster.put('pods', pod('a'))
    cluster.put('pods', pod('b'))
    await settle()
    const { promise, resolve } = Promise.withResolvers<void>()
    cluster.held = promise
    await clock.advance(RULES.relist)
    cluster.remove('pods', 'a')
    cluster.put('pods', pod('c'))
    await settle()
    resolve()
    await settle()
    assert.deepEqual(uids().toSorted(), ['b', 'c'])
    assert.equal(watches().length, 1)
    watch.stop()
  })

  it('that told as much as the list goes on, and nobody hears of the list', async () => {
    const { cluster, clock, changes, lists, watches, watch } = await rig()
    cluster.put('pods', pod('a'))
    await settle()
    const before = changes()
    await clock.advance(10 * RULES.relist - 1)
    assert.equal(changes(), before)
    assert.equal(lists(), 10)
    // Silence alone ended some.
    assert.equal(watches().length, 1 + watch.status().staleWatches)
    watch.stop()
  })
})

describe('an API server that fails', () => {
  it('is asked again after pauses that grow, and what was known stays', async () => {
    const { cluster, clock, uids, logs, watch, changes } = await rig()
    cluster.put('pods', pod('a'))
    await settle()
    cluster.refusal = 503
    cluster.endWatches()
    await settle()
    const from = cluster.asked.length
    await clock.advance(20_000)
    const attempts = cluster.asked.length - from
    assert.ok(attempts >= 3 && attempts <= 5, `${attempts} attempts`)
    assert.deepEqual(uids(), ['a'])
    assert.match(watch.status().problem ?? '', /503/)
    assert.equal(logs.length, 1)
    cluster.refusal = null
    const before = changes()
    cluster.put('pods', pod('b'))
    await clock.advance(30_000)
    assert.deepEqual(uids(), ['a', 'b'])
    assert.ok(changes() > before)
    assert.equal(watch.status().problem, null)
    assert.match(logs.at(-1) ?? '', /again/)
    watch.stop()
  })

  it('tells those who wait that nothing is known yet', async () => {
    const cluster = new Cluster()
    cluster.refusal = 403
    const { changes, watch } = await rig(cluster)
    assert.equal(changes(), 1)
    assert.equal(watch.status().listedAt, 0)
    watch.stop()
  })

  it('that forgets its pages while they are read is asked for all at once', async () => {
    const cluster = new Cluster()
    Object.assign(cluster, { pageSize: 1, forgetsPages: true })
    cluster.put('pods', pod('a'))
    cluster.put('pods', pod('b'))
    const { clock, uids, watch } = await rig(cluster)
    assert.deepEqual(uids(), [])
    await clock.advance(1500)
    assert.deepEqual(uids(), ['a', 'b'])
    watch.stop()
  })

  it('is left alone once the watch is stopped', async () => {
    const { cluster, clock, watch, ended } = await rig()
    watch.stop()
    await ended
    assert.equal(cluster.watches, 0)
    const before = cluster.asked.length
    await clock.advance(600_000)
    assert.equal(cluster.asked.length, before)
    assert.equal(clock.pending, 0)
  })
})
