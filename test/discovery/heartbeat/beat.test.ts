import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBeat } from '../../../src/discovery/heartbeat/beat.ts'

const p2p = { type: 'P', http_address: '10.0.0.1:20001', zmq_address: '10.0.0.1:21001' }
const moriio = {
  type: 'register',
  role: 'D',
  index: '7',
  request_address: 'http://10.0.0.2:20005/v1/completions',
  handshake_port: 6301,
  transfer_mode: 'read',
  tp_size: 8,
  dp_size: 2,
}

const READ: readonly [string, object, object][] = [
  [
    'vLLM P2P/NCCL, to either router',
    { ...p2p, metadata: { x: 1 } },
    { url: 'http://10.0.0.1:20001', role: 'prefill', kvAddress: '10.0.0.1:21001' },
  ],
  ['a decode engine', { ...p2p, type: 'D' }, { role: 'decode' }],
  [
    'MoRI-IO as the vLLM Router has it',
    { ...p2p, transfer_mode: 'WRITE' },
    { kvAddress: '10.0.0.1:21001', transfer: { mode: 'WRITE', tpSize: 1, dpSize: 1 } },
  ],
  [
    'MoRI-IO as the engine has it',
    moriio,
    { url: 'http://10.0.0.2:20005', role: 'decode', transfer: { mode: 'READ', tpSize: 8, dpSize: 2 } },
  ],
  ['IPv6', { ...p2p, http_address: '[fe80::1]:8000' }, { url: 'http://[fe80::1]:8000' }],
  ['a scheme', { ...p2p, http_address: 'https://e.example/base/' }, { url: 'https://e.example/base' }],
  [
    'what a worker of another kind tells',
    { type: 'mixed', http_address: 'h:1', models: ['m'], engine: 'lmdeploy', weight: 2, ranks: 'ask' },
    { role: 'mixed', models: ['m'], engine: 'lmdeploy', weight: 2, ranks: 'ask' },
  ],
]

for (const [words, value, expected] of READ)
  test(`a heartbeat is read: ${words}`, () => {
    const { spec } = readBeat(value, true)
    for (const [key, one] of Object.entries(expected))
      assert.deepEqual(spec[key as keyof typeof spec], one, key)
  })

const REFUSED: readonly [string, unknown, RegExp][] = [
  ['no map', [p2p], /no map/],
  ['nothing', null, /no map/],
  ['another type', { ...p2p, type: 'X' }, /type must be P or D, got "X"/],
  ['no type', { http_address: 'h:1' }, /type must be P or D/],
  ['no HTTP address', { type: 'P', zmq_address: 'h:1' }, /http_address is missing/],
  ['no ZMQ address', { type: 'P', http_address: 'h:1' }, /zmq_address is missing/],
  ['an address that is none', { ...p2p, http_address: 'ftp://h:1' }, /is not spoken/],
  ['a path of this machine', { ...p2p, http_address: 'unix:/run/x.sock' }, /must be HOST:PORT/],
  ['credentials', { ...p2p, http_address: 'u:p@h:1' }, /credentials/],
  ['a number for a text', { ...p2p, zmq_address: 5 }, /zmq_address must be a text/],
  ['a mode that nobody knows', { ...p2p, transfer_mode: 'push' }, /transfer/],
]

for (const [words, value, why] of REFUSED)
  test(`a heartbeat is refused: ${words}`, () => {
    assert.throws(() => readBeat(value, true), why)
  })

test('by HTTP the address of a connector may be left out', () => {
  assert.equal(readBeat({ type: 'P', http_address: 'h:1' }, false).spec.kvAddress, undefined)
})
