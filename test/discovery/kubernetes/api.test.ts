import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ApiError, jsonLines, KubeApi } from '../../../src/discovery/kubernetes/api.ts'
import { findAccess } from '../../../src/discovery/kubernetes/access.ts'
import { configSchema } from '../../../src/config/schema.ts'
import { Cluster, pod } from './_cluster.ts'

const bodyOf = (bytes: Uint8Array, step: number): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += step) controller.enqueue(bytes.slice(at, at + step))
      controller.close()
    },
  })

const read = async (text: string, step: number): Promise<unknown[]> => {
  const events: unknown[] = []
  for await (const event of jsonLines(bodyOf(new TextEncoder().encode(text), step))) events.push(event)
  return events
}

describe('the lines of a watch', () => {
  it('are read however they are cut', async () => {
    const text = '{"type":"ADDED","object":{"metadata":{"name":"Zoë 😀"}}}\n\n{"type":"BOOKMARK"}\n'
    for (const step of [1, 2, 3, 7, 1000]) {
      assert.deepEqual(await read(text, step), [
        { type: 'ADDED', object: { metadata: { name: 'Zoë 😀' } } },
        { type: 'BOOKMARK' },
      ])
    }
  })

  it('may lack the last line break, and half a line at the end is dropped', async () => {
    assert.deepEqual(await read('{"type":"A"}\n{"type":"B"}', 5), [{ type: 'A' }, { type: 'B' }])
    assert.deepEqual(await read('{"type":"A"}\n{"type":"B', 5), [{ type: 'A' }])
  })

  it('that are no JSON are an error', async () => {
    await assert.rejects(read('<html>\n{"type":"A"}\n', 100), SyntaxError)
  })
})

const apiOf = async (cluster: Cluster): Promise<KubeApi> => {
  const config = configSchema.parse({ kubernetesApi: 'http://cluster:8001/' })
  return new KubeApi(await findAccess(config, cluster.outside()))
}
const pods = { path: '/api/v1/namespaces/models/pods', selector: 'app=engine' }
const { signal } = new AbortController()

describe('a list', () => {
  it('is read page by page, filtered by the server', async () => {
    const cluster = new Cluster()
    cluster.pageSize = 2
    for (const uid of ['a', 'b', 'c', 'd', 'e']) cluster.put('pods', pod(uid))
    cluster.put('pods', pod('other', { labels: { app: 'web' } }))
    const listed = await (await apiOf(cluster)).list(pods, signal)
    assert.deepEqual(
      listed.items.map(({ metadata }) => metadata?.uid),
      ['a', 'b', 'c', 'd', 'e'],
    )
    assert.equal(listed.version, String(cluster.version))
    assert.deepEqual(
      cluster.asked.map(({ query }) => [query.get('limit'), query.get('continue')]),
      [
        ['500', null],
        ['500', '2'],
        ['500', '4'],
      ],
    )
    assert.equal(cluster.asked[0]?.path, pods.path)
    assert.equal(cluster.asked[0]?.query.get('labelSelector'), 'app=engine')
    assert.equal(cluster.asked[0]?.query.get('resourceVersion'), null)
  })

  for (const [refusal, words] of [
    [403, /403 \(it is told to refuse\).*must be allowed to get, list and watch/],
    [401, /its token is not accepted/],
    [500, /was answered with 500/],
  ] as const)
    it(`that is answered with ${refusal} says so`, async () => {
      const cluster = new Cluster()
      cluster.refusal = refusal
      const listing = (await apiOf(cluster)).list(pods, signal)
      await assert.rejects(listing, (error) => {
        assert.ok(error instanceof ApiError)
        assert.equal(error.status, refusal)
        assert.match(error.message, words)
        return true
      })
    })
})
