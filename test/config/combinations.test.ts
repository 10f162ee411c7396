import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfigFile } from '../../adapters/cli/yaml.ts'
import { formatIssue } from '../../src/config/issues.ts'
import { load } from '../../src/config/load.ts'

const CONFLICTS: readonly (readonly [file: string, ...issues: string[]])[] = [
  ['tlsCert: a.pem', '1:1: tlsCert: needs tlsKey too: give both to serve HTTPS, or neither'],
  ['tlsKey: a.pem', '1:1: tlsKey: needs tlsCert too: give both to serve HTTPS, or neither'],
  ['port: 1\nsocket: /s', '2:1: socket: cannot go with port: leave one of them out'],
  ['socket: /s\nhost: ::1', '1:1: socket: cannot go with host: leave one of them out'],
  [
    'host: http://a',
    '1:1: host: expected an address like 0.0.0.0 or ::, got "http://a"; the port goes into port',
  ],
  [
    'host: 0.0.0.0:80',
    '1:1: host: expected an address like 0.0.0.0 or ::, got "0.0.0.0:80"; the port goes into port',
  ],
  ['prefill: [p]', '1:1: prefill: prefill workers need decode workers too: give at least one decode URL'],
  ['decode: [d]', '1:1: decode: decode workers need prefill workers too: give at least one prefill URL'],
  [
    'workers: [{url: p, role: prefill}]',
    '1:1: workers: prefill workers need decode workers too: give at least one decode URL',
  ],
  ['workers:\n- a:1\n- url: http://A:1/v1/', '3:3: workers[1]: http://a:1 is given twice: leave one out'],
  [
    'prefill: ["a,9"]\ndecode:\n- a',
    '3:3: decode[0]: http://a is given twice (in prefill too): leave one out',
  ],
  [
    'binding: late\npolicy: round_robin',
    "1:1: binding: late needs the policy least_cost: round_robin chooses calls' workers as they come",
  ],
  ['aliases:\n  a: a', '2:3: aliases.a: "a" points at itself: name the model that workers serve'],
  [
    'aliases:\n  a: b\n  b: c',
    '2:3: aliases.a: "a" points at "b", an alias itself: name the model that workers serve',
  ],
  ['apiKeys:\n- k\n- key: k', '3:3: apiKeys[1]: the same key is given twice: leave one out'],
  [
    'adminListen: 0.0.0.0:1',
    '1:1: adminListen: is open to other machines and needs adminKey: set one, or listen on 127.0.0.1',
  ],
  [
    'poolShards: 2\nadminKey: k\nleader: http://r:1',
    '1:1: poolShards: cannot go with peers or leader: shards serve one router',
  ],
  ['peers: [http://r:1]', '1:1: peers: needs adminKey: routers know each other by it'],
  ['leader: http://r:1', '1:1: leader: needs adminKey: routers know each other by it'],
  [
    'adminListen: nowhere',
    '1:1: adminListen: expected HOST:PORT, e.g. 127.0.0.1:8001, or unix:/path, got "nowhere"',
  ],
  [
    'port: 7\nadminListen: 127.0.0.1:7',
    '2:1: adminListen: is the address of host and port already: take another port',
  ],
  [
    'retryMaxDelay: 10ms',
    '1:1: retryMaxDelay: is shorter than retryDelay (50 ms): make it longer, or retryDelay shorter',
  ],
  [
    'retryDelay: 1m',
    '1:1: retryDelay: is longer than retryMaxDelay (30000 ms): make it shorter, or retryMaxDelay longer',
  ],
  [
    'breakerSuccesses: 0',
    '1:1: breakerSuccesses: would never close an open breaker: take 1 or more, or breakerFailures 0 for no breaker',
  ],
  [
    'breakerWindow: off',
    '1:1: breakerWindow: must be longer than nothing: no failure would ever count; breakerFailures 0 means no breaker',
  ],
  ['healthPath: health', '1:1: healthPath: must begin with /, got "health"'],
  [
    'healthTimeout: off',
    '1:1: healthTimeout: must not be off while healthInterval is on: a silent worker would never be noticed',
  ],
  ['requestIdHeaders: [a b]', '1:20: requestIdHeaders[0]: must be a header name like x-request-id'],
]

for (const [text, ...expected] of CONFLICTS) {
  test(`refuses ${JSON.stringify(text)}`, () => {
    const issues = load({ file: parseConfigFile('f.yaml', text) }).issues.map(formatIssue)
    assert.deepEqual(
      issues,
      expected.map((line) => `f.yaml:${line}`),
    )
  })
}

test('half a pair is enough where its other half may come later, but no worker is given twice', () => {
  const text = 'dialect: sglang-router\nprefill:\n- a\n- http://A/'
  assert.deepEqual(load({ file: parseConfigFile('f.yaml', text) }).issues.map(formatIssue), [
    'f.yaml:4:3: prefill[1]: http://a is given twice: leave one out',
  ])
})

const GOOD: readonly string[] = [
  'breakerSuccesses: 0\nbreakerFailures: 0',
  'retries: 0\nretryMaxDelay: 10ms',
  'peers: [http://r:1]\nleader: http://r:1\nadminKey: k',
  'adminListen: 0.0.0.0:1\nadminKey: k',
  'adminListen: "[::1]:1"',
  'adminListen: 127.0.0.1:0\nport: 0',
  'workers: [{url: p, role: prefill}, {url: d, role: decode}, m]',
  'socket: /s',
  'adminListen: unix:/run/admin.sock',
  'healthInterval: off\nhealthTimeout: off',
]

for (const text of GOOD) {
  test(`accepts ${JSON.stringify(text)}`, () => {
    assert.deepEqual(load({ file: parseConfigFile('f.yaml', text) }).issues.map(formatIssue), [])
  })
}
