import assert from 'node:assert/strict'
import { encode } from '@msgpack/msgpack'
import { after, describe, test } from 'node:test'
import { createSockets } from '../../adapters/node/sockets.ts'
import { productionStack } from '../../src/dialects/production-stack/index.ts'
import { extend, type Lent } from '../../src/extensions/extend.ts'
import { chunksOf } from '../../src/extensions/lmcache/chunks.ts'
import { Holdings } from '../../src/extensions/lmcache/holdings.ts'
import { readMessage, type LmcacheMessage } from '../../src/extensions/lmcache/messages.ts'
import { encodeReply } from '../../src/extensions/lmcache/replies.ts'
import { decodeMsgpack } from '../../src/msgpack.ts'
import { greeting } from '../../src/zmtp/handshake.ts'
import { encodeCommand, encodeMessage } from '../../src/zmtp/frames.ts'
import { freePort } from '../journeys/_sockets.ts'
import { callsOf, engine, eventually } from '../journeys/_rig.ts'
import { rig } from '../dialects/_rig.ts'

const read = (value: unknown) => readMessage(encode(value, { useBigInt64: true }))
const who = { instance_id: 'i', worker_id: 0 }

describe('the messages of LMCache’s workers', () => {
  const admitted = { kind: 'changes', instance: 'i', worker: 0, location: 'LocalCPUBackend' }
  const rows: readonly [string, unknown, LmcacheMessage | null][] = [
    [
      'a registration',
      { type: 'RegisterMsg', ...who, ip: '10.0.0.1', port: 8500, peer_init_url: null },
      { kind: 'register', instance: 'i', worker: 0, ip: '10.0.0.1', port: 8500 },
    ],
    [
      'a heartbeat',
      { type: 'HeartbeatMsg', ...who, ip: '10.0.0.1', port: 8500, peer_init_url: 'x' },
      { kind: 'heartbeat', instance: 'i', worker: 0, ip: '10.0.0.1', port: 8500 },
    ],
    [
      'an end',
      { type: 'DeRegisterMsg', ...who, ip: '', port: 1 },
      { kind: 'leave', instance: 'i', worker: 0 },
    ],
    [
      'a chunk that came',
      { type: 'KVAdmitMsg', ...who, key: -5n, location: 'LocalCPUBackend', seq_num: 0 },
      { ...admitted, changes: [{ key: -5n, isAdmitted: true }] } as LmcacheMessage,
    ],
    [
      'a chunk that went',
      { type: 'KVEvictMsg', ...who, key: 7, location: 'LocalCPUBackend', seq_num: 1 },
      { ...admitted, changes: [{ key: 7n, isAdmitted: false }] } as LmcacheMessage,
    ],
    [
      'many of them',
      {
        type: 'BatchedKVOperationMsg',
        ...who,
        location: 'LocalCPUBackend',
        operations: [
          { op_type: 'admit', key: 2n ** 63n, seq_num: 1 },
          { op_type: 'evict', key: 1, seq_num: 2 },
          { op_type: 'else', key: 1, seq_num: 2 },
        ],
      },
      {
        ...admitted,
        changes: [
          { key: -(2n ** 63n), isAdmitted: true },
          { key: 1n, isAdmitted: false },
        ],
      } as LmcacheMessage,
    ],
    ['something else', { type: 'ClearMsg', ...who }, null],
    ['no worker', { type: 'RegisterMsg', instance_id: 'i' }, null],
    ['no map', [1, 2], null],
    ['nothing', null, null],
  ]
  for (const [what, message, expected] of rows)
    test(`${what} is read`, () => {
      assert.deepEqual(read(message), expected)
    })

  test('answers are MessagePack', () => {
    const value = { type: 'X', layout_info: [['i', 'é', 70_000, '']], extra_config: {} }
    assert.deepEqual(decodeMsgpack(encodeReply(value), { bytes: 99, items: 9, keys: 9 }), value)
  })
})

const TOKENS = Array.from({ length: 300 }, (_, i) => i)
const KEYS = [...chunksOf(TOKENS)].map(({ keys }) => keys)
const admit = (instance: string, keys: readonly bigint[], worker = 0): LmcacheMessage => ({
  kind: 'changes',
  instance,
  worker,
  location: 'cpu',
  changes: keys.map((key) => ({ key, isAdmitted: true })),
})

describe('what LMCache instances hold', () => {
  test('chunks are named as LMCache names them, with and without vLLM', () => {
    assert.equal(KEYS[0]?.[0], -7693565463539782743n)
    assert.equal(KEYS[1]?.[0], -405114033414814452n)
    assert.deepEqual(
      [...chunksOf(TOKENS)].map(({ end }) => end),
      [256, 300],
    )
  })

  test('the longest beginning without a gap is found, in whatever way it was hashed', () => {
    for (const way of [0, 1]) {
      const [first = 0n, second = 0n] = KEYS.map((keys) => keys[way] ?? 0n)
      const holdings = new Holdings()
      holdings.take(admit('a', [first]), 0)
      holdings.take(admit('b', [first, second]), 0)
      holdings.take(admit('c', [second]), 0)
      const found = holdings.longest(chunksOf(TOKENS))
      assert.deepEqual(
        found.map(({ instance, tokens }) => [instance.name, tokens]),
        [['b', 300]],
      )
      assert.deepEqual(
        holdings.longest(chunksOf(TOKENS.slice(0, 256))).map(({ instance }) => instance.name),
        ['a', 'b'],
      )
      assert.deepEqual(holdings.longest(chunksOf([9])), [])
    }
  })

  test('a chunk is gone when no worker has it any more', () => {
    const holdings = new Holdings()
    holdings.take(admit('a', [1n], 0), 0)
    holdings.take(admit('a', [1n], 1), 0)
    const evict = { ...admit('a', [], 0), changes: [{ key: 1n, isAdmitted: false }] } as LmcacheMessage
    holdings.take(evict, 0)
    assert.equal(holdings.isEmpty, false)
    holdings.take({ kind: 'leave', instance: 'a', worker: 1 }, 0)
    assert.equal(holdings.isEmpty, true)
  })

  test('workers that sent heartbeats and are silent are forgotten; those that never did are not', () => {
    const holdings = new Holdings()
    const beat = { kind: 'heartbeat', instance: 'a', worker: 0, ip: '1.2.3.4', port: 1 } as const
    holdings.take(beat, 0)
    holdings.take({ ...beat, kind: 'register', instance: 'b' }, 0)
    holdings.take(admit('a', [1n]), 10_000)
    holdings.expire(39_000, 30_000)
    assert.equal(holdings.instances.length, 2)
    holdings.expire(41_000, 30_000)
    assert.deepEqual(
      holdings.instances.map(({ name }) => name),
      ['b'],
    )
    assert.equal(holdings.isEmpty, true)
  })

  test('no more chunks are kept than there may be', () => {
    const holdings = new Holdings(2)
    holdings.take(admit('a', [1n, 2n, 3n]), 0)
    assert.equal(holdings.inRow([1n], 'x'), null)
    assert.deepEqual(holdings.inRow([2n, 3n, 4n], 'x')?.count, 2)
    assert.equal(holdings.inRow([2n], 'a'), null)
  })
})

const sockets = createSockets()
after(() => sockets.close())

/** A PUSH peer. */
async function push(port: number) {
  const wire = await sockets.connect({ host: '127.0.0.1', port }, AbortSignal.timeout(5000))
  await wire.write(greeting())
  const ready = new TextEncoder().encode('\u000bSocket-Type\0\0\0\u0004PUSH')
  await wire.write(encodeCommand('READY', ready))
  void wire.read()
  return {
    send: (...messages: readonly unknown[]) =>
      wire.write(encodeMessage(messages.map((one) => encode(one, { useBigInt64: true })))),
    close: () => wire.close(),
  }
}

const lent: Lent = {
  load: () => Promise.reject(new Error('there are no modules')),
  files: { read: async () => null, write: async () => undefined },
}

describe('kvaware', () => {
  const [W1, W2] = ['http://10.0.0.1:8000', 'http://10.0.0.2:8000']
  const prompt = 'What goes on and on and never comes to its end. '.repeat(60)
  const body = { model: 'm', prompt, max_tokens: 2 }

  test('calls go where LMCache says that most of their prompt is, and elsewhere when too much is missing', async () => {
    for (const [threshold, hits] of [
      [2000, 4],
      [10, 0],
    ] as const) {
      const port = await freePort()
      const fleet = { [W1]: engine(), [W2]: engine() }
      const line = `--service-discovery static --static-backends ${W1},${W2} --static-models m,m --routing-logic kvaware --session-key x-user --lmcache-controller-port ${port} --kv-aware-threshold ${threshold}`
      const { ask, logged } = await rig(productionStack, line, fleet, {
        healthInterval: 'off',
        lends: { sockets, extend: (wanted, core) => extend(wanted, core, lent) },
      })
      await eventually(
        () => logged.some(({ message }) => message.includes(`to port ${port}`)),
        () => 'nobody listens',
      )
      const { json } = await ask('/tokenize', { body: { model: 'm', prompt } })
      const [first] = [...chunksOf(json.tokens as number[])]
      const peer = await push(port)
      await peer.send(
        {
          type: 'RegisterMsg',
          instance_id: 'two',
          worker_id: 0,
          ip: '10.0.0.2',
          port: 1,
          peer_init_url: null,
        },
        {
          type: 'KVAdmitMsg',
          instance_id: 'two',
          worker_id: 0,
          key: first?.keys[0],
          location: 'LocalCPUBackend',
          seq_num: 0,
        },
      )
      await eventually(
        () => logged.some(({ message }) => message.includes('instance two')),
        () => 'it was not heard',
      )
      const before = callsOf(fleet[W2]!).filter(({ path }) => path === '/v1/completions').length
      // A session that the ring gives to the other one.
      for (let i = 0; i < 4; i++)
        await ask('/v1/completions', { body: { ...body }, headers: { 'x-user': 'u1' } })
      const there = callsOf(fleet[W2]!).filter(({ path }) => path === '/v1/completions').length - before
      peer.close()
      assert.equal(there, hits)
    }
  })
})
