import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { configSchema, type ConfigInput } from '../../../src/config/schema.ts'
import type { Pod } from '../../../src/discovery/kubernetes/objects.ts'
import { PodSet, podRules } from '../../../src/discovery/kubernetes/pods.ts'
import { pod, type PodOptions } from './_cluster.ts'

const setOf = (config: ConfigInput = {}): PodSet =>
  new PodSet(
    podRules(configSchema.parse({ discover: ['kubernetes'], kubernetesSelector: 'app=engine', ...config })),
  )
const urls = (set: PodSet, ...pods: Pod[]): string[] => set.wanted(pods).map(({ spec }) => spec.url)
const only = (config: ConfigInput, ...given: [string, PodOptions]) => {
  const [wanted] = setOf(config).wanted([pod(...given)])
  assert.ok(wanted)
  return wanted
}

describe('a pod is a worker', () => {
  const cases: readonly [string, Pod, readonly string[]][] = [
    ['when it runs and is ready', pod('a'), ['http://10.0.0.1:8000']],
    ['of IPv6, too', pod('a', { ip: 'fd00::7' }), ['http://[fd00::7]:8000']],
    ['not before it is ready', pod('a', { isReady: false }), []],
    ['not while it is pending', pod('a', { phase: 'Pending' }), []],
    ['not when it has failed', pod('a', { phase: 'Failed' }), []],
    ['not without an address', pod('a', { ip: '' }), []],
    ['not when it is ending and was none before', pod('a', { isTerminating: true }), []],
    ['not with other labels', pod('a', { labels: { app: 'web' } }), []],
    ['not without labels', pod('a', { labels: {} }), []],
  ]
  for (const [title, one, expected] of cases)
    it(title, () => {
      assert.deepEqual(urls(setOf(), one), expected)
    })

  it('by its containers, where the server tells no condition', () => {
    const { metadata, spec } = pod('a')
    const bare = (ready: boolean): Pod => ({
      metadata: metadata!,
      spec: spec!,
      status: { podIP: '10.0.0.1', containerStatuses: [{ ready: true }, { ready }] },
    })
    assert.deepEqual(urls(setOf(), bare(true)), ['http://10.0.0.1:8000'])
    assert.deepEqual(urls(setOf(), bare(false)), [])
  })

  it('on a port that it names itself', () => {
    const set = setOf({ kubernetesPort: 'http' })
    assert.deepEqual(urls(set, pod('a', { port: 9123 })), ['http://10.0.0.1:9123'])
    assert.deepEqual(urls(set, pod('b')), [])
  })
})

describe('a worker that is no longer ready', () => {
  for (const [notReady, expected] of [
    ['drain', [true]],
    ['keep', [false]],
    ['remove', []],
  ] as const)
    it(`${notReady}: ${JSON.stringify(expected)}`, () => {
      const set = setOf({ kubernetesNotReady: notReady })
      set.wanted([pod('a')])
      const left = set.wanted([pod('a', { isReady: false })]).map(({ draining }) => draining)
      assert.deepEqual(left, expected)
      assert.deepEqual(
        set.wanted([pod('a')]).map(({ draining }) => draining),
        [false],
      )
    })

  it('drains when its pod is ending, whatever the rule', () => {
    for (const kubernetesNotReady of ['drain', 'keep', 'remove'] as const) {
      const set = setOf({ kubernetesNotReady })
      set.wanted([pod('a')])
      const [wanted] = set.wanted([pod('a', { isReady: false, isTerminating: true })])
      assert.equal(wanted?.draining, true, kubernetesNotReady)
      assert.deepEqual(set.wanted([]), [])
    }
  })

  it('goes when its pod has lost its address, its labels, or has been evicted', () => {
    for (const change of [{ ip: '' }, { labels: {} }, { phase: 'Failed' }]) {
      const set = setOf({ kubernetesNotReady: 'keep' })
      assert.equal(set.wanted([pod('a')]).length, 1)
      assert.deepEqual(set.wanted([pod('a', change)]), [], JSON.stringify(change))
    }
  })
})

describe('another worker it is', () => {
  const changes: readonly [string, Pod][] = [
    ['when another pod has its address', pod('b')],
    ['when its address has changed', pod('a', { ip: '10.0.0.2' })],
    ['when its role has changed', pod('a', { labels: { app: 'decode' } })],
  ]
  for (const [title, after] of changes)
    it(title, () => {
      const set = setOf({ kubernetesDecodeSelector: 'app=decode' })
      const [before] = set.wanted([pod('a')])
      const [next] = set.wanted([after])
      assert.ok(before && next)
      assert.notEqual(before.key, next.key)
    })
})

describe('what a worker is told of', () => {
  const pair: ConfigInput = {
    kubernetesPrefillSelector: 'part=prefill',
    kubernetesDecodeSelector: 'app=engine',
  }
  const prefill = { app: 'engine', part: 'prefill' }

  it('the role of the first selector that fits: prefill, decode, then mixed', () => {
    assert.equal(only(pair, 'a', { labels: prefill }).spec.role, 'prefill')
    assert.equal(only(pair, 'a', {}).spec.role, 'decode')
    assert.equal(only({}, 'a', {}).spec.role, 'mixed')
  })

  for (const [annotations, port] of [
    [{ 'sglang.ai/bootstrap-port': '9001' }, 9001],
    [{ 'vllm.ai/bootstrap-port': ' 9002 ' }, 9002],
    [{ 'sglang.ai/bootstrap-port': '9001', 'vllm.ai/bootstrap-port': '9002' }, 9001],
    [{ 'sglang.ai/bootstrap-port': 'none', 'vllm.ai/bootstrap-port': '9002' }, 9002],
    [{ 'sglang.ai/bootstrap-port': '70000' }, undefined],
    [{}, undefined],
  ] as const)
    it(`the bootstrap port of ${JSON.stringify(annotations)}`, () => {
      const { spec } = only(pair, 'a', { labels: prefill, annotations })
      assert.equal(spec.bootstrapPort, port)
    })

  it('no bootstrap port when it does not prefill', () => {
    const annotations = { 'sglang.ai/bootstrap-port': '9001' }
    assert.equal(only(pair, 'a', { annotations }).spec.bootstrapPort, undefined)
  })

  for (const [kubernetesModelFrom, models] of [
    ['engine', undefined],
    ['namespace', ['models']],
    ['label:model', ['llama']],
    ['annotation:model', ['qwen']],
    ['label:absent', undefined],
  ] as const)
    it(`the model by ${kubernetesModelFrom}`, () => {
      const labels = { app: 'engine', model: 'llama' }
      const wanted = only({ kubernetesModelFrom }, 'a', { labels, annotations: { model: 'qwen' } })
      assert.deepEqual(wanted.spec.models, models)
    })

  it('its labels and where it is, and the headers of all', () => {
    const { spec } = only({ kubernetesHeaders: { 'x-team': 'one' } }, 'a', { name: 'engine-0' })
    assert.deepEqual(spec.headers, { 'x-team': 'one' })
    assert.deepEqual(spec.labels, {
      app: 'engine',
      'k8s.pod.name': 'engine-0',
      'k8s.pod.uid': 'a',
      'k8s.namespace.name': 'models',
      'k8s.node.name': 'node-1',
    })
  })
})

describe('a pod that is told to get no new calls', () => {
  it('drains as long as its labels say so', () => {
    const set = setOf({ kubernetesDrainSelector: 'sleeping=true' })
    const drains = (labels: Record<string, string>) =>
      set.wanted([pod('a', { labels: { app: 'engine', ...labels } })])[0]?.draining
    assert.deepEqual(
      [drains({}), drains({ sleeping: 'true' }), drains({ sleeping: 'false' })],
      [false, true, false],
    )
  })
})
