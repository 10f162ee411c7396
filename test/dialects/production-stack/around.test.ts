import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseConfigFile } from '../../../adapters/cli/yaml.ts'
import { productionStack } from '../../../src/dialects/production-stack/index.ts'
import { extend, type Lent } from '../../../src/extensions/extend.ts'
import { callsOf, chat, engine } from '../../journeys/_rig.ts'
import { configOf, translated } from '../_translate.ts'
import { rig } from '../_rig.ts'

const W1 = 'http://w1:8000'
const W2 = 'http://w2:8000'
const CHAT = '/v1/chat/completions'
const STATIC = `--service-discovery static --static-backends ${W1},${W2} --static-models m,m --routing-logic roundrobin`
const YAML = `
external_providers:
  - name: example
    type: openai
    api_base: https://api.example.com
    api_key_env_var: EXAMPLE_KEY
    timeout: 5
    max_retries: 1
    custom_headers: { X-Org: o }
    models:
      - id: big
        type: chat
        aliases: [nick]
  - name: other
    api_base: http://other
    models: [{ id: small }]
`
const by = (text: string, environment = {}) => ({
  environment,
  readFile: () => Promise.resolve(text),
  parse: parseConfigFile,
})

describe('its flags for what is around calls', () => {
  test('a file of external providers is read whole', async () => {
    const line = '--external-providers-config p.yaml'
    const { providers } = await configOf(
      productionStack,
      line,
      by(YAML, { EXAMPLE_KEY: 'k', OPENAI_API_KEY: 'o' }),
    )
    assert.deepEqual(providers, [
      {
        name: 'example',
        url: 'https://api.example.com',
        apiKey: 'k',
        timeout: 5000,
        maxRetries: 1,
        headers: { 'X-Org': 'o' },
        models: [{ id: 'big', type: 'chat', aliases: ['nick'] }],
      },
      {
        name: 'other',
        url: 'http://other',
        apiKey: 'o',
        timeout: 30_000,
        maxRetries: 3,
        headers: {},
        models: [{ id: 'small', type: 'chat', aliases: [] }],
      },
    ])
  })

  const PROBLEMS: readonly [line: string, why: RegExp, text?: string][] = [
    ['--external-providers-config p.yaml', /variable EXAMPLE_KEY is not set/, YAML],
    ['--external-providers-config p.yaml', /expected a list under external_providers/, 'a: 1'],
    ['--external-providers-config p.yaml', /p\.yaml:\d+:\d+: /, 'a: [1'],
    [
      '--external-providers-config p.yaml',
      /a provider needs models/,
      'external_providers: [{name: x, api_base: http://x}]',
    ],
    [`${STATIC} --callbacks my_module.instance`, /--callbacks: my_module\.instance names a Python object/],
    [`${STATIC} --request-rewriter pkg.Rewriter`, /--request-rewriter: pkg\.Rewriter names a Python object/],
    [`${STATIC} --feature-gates SemanticCache=true`, /SemanticCache needs an embedder/],
    [`${STATIC} --feature-gates SemanticCache`, /SemanticCache is not NAME=true or NAME=false/],
  ]
  for (const [line, why, text = ''] of PROBLEMS)
    test(`${line.replace(STATIC, '').trim()} is a problem: ${why.source.slice(0, 40)}`, async () => {
      const { problems = [] } = await translated(productionStack, line, by(text))
      assert.ok(
        problems.some((problem) => why.test(problem)),
        problems.join('\n'),
      )
    })

  test('modules and the semantic cache are taken over', async () => {
    const config = await configOf(
      productionStack,
      `${STATIC} --callbacks ./c.mjs#x --request-rewriter ./r.mjs --feature-gates SemanticCache=true --semantic-cache-model e5 --semantic-cache-dir kept --semantic-cache-threshold 0.8`,
    )
    assert.deepEqual([config.callbacks, config.requestRewriter], ['./c.mjs#x', './r.mjs'])
    assert.deepEqual(config.semanticCache, { embedder: 'e5', threshold: 0.8, size: 1000, directory: 'kept' })
    const plain = await configOf(productionStack, `${STATIC} --request-rewriter noop`)
    assert.deepEqual(
      [plain.callbacks, plain.requestRewriter, plain.semanticCache],
      [undefined, undefined, undefined],
    )
  })

  test('gates without effect are told of', async () => {
    const line = `${STATIC} --feature-gates PIIDetection=true,Nope=true,SemanticCache=false`
    const { notes = [], problems } = await translated(productionStack, line)
    assert.deepEqual(problems, [])
    assert.ok(notes.some((note) => /PIIDetection has no effect/.test(note)))
    assert.ok(notes.some((note) => /no feature gate Nope/.test(note)))
  })
})

const lent: Lent = {
  load: async () => ({ embed: () => [1, 0] }),
  files: { read: async () => null, write: async () => undefined },
}
const lends = {
  extend: (config: Parameters<typeof extend>[0], core: Parameters<typeof extend>[1]) =>
    extend(config, core, lent),
}
const more = { healthInterval: 'off', retryDelay: '1ms', lends }

describe('calls with what is around them', () => {
  test('`?id=` binds a call to one engine, whatever the policy says', async () => {
    const fleet = { [W1]: engine(), [W2]: engine() }
    const { ask } = await rig(productionStack, STATIC, fleet, more)
    const engines = (await ask('/engines')).json as { engine_id: string }[]
    const id = engines[1]?.engine_id ?? ''
    for (let i = 0; i < 3; i++) assert.equal((await ask(`${CHAT}?id=${id}`, { body: chat() })).status, 200)
    assert.deepEqual([callsOf(fleet[W1]!).length, callsOf(fleet[W2]!).length], [0, 3])
    assert.equal(callsOf(fleet[W2]!)[0]?.path, CHAT)
    const wrong = await ask(`${CHAT}?id=zzz`, { body: chat() })
    assert.equal(wrong.status, 503)
    assert.deepEqual(wrong.json, {
      error: "Model 'm' is temporarily unavailable. Please try again later.",
    })
    const unknown = await ask(`${CHAT}?id=zzz`, { body: chat({ model: 'nope' }) })
    assert.equal(unknown.status, 404)
    const again = await rig(productionStack, STATIC, fleet, more)
    assert.deepEqual(
      (await again.ask('/engines')).json.map((one: { engine_id: string }) => one.engine_id),
      [engines[0]?.engine_id, id],
    )
  })

  test('providers are listed and told of in its words', async () => {
    const providers = [{ name: 'example', url: 'https://x.example', maxRetries: 0, models: [{ id: 'big' }] }]
    const { ask } = await rig(
      productionStack,
      STATIC,
      { [W1]: engine(), [W2]: engine() },
      { ...more, providers },
    )
    const listed = (await ask('/v1/models')).json.data as { id: string; owned_by: string }[]
    assert.ok(listed.some(({ id, owned_by }) => id === 'big' && owned_by === 'example'))
    const { status, json } = await ask(CHAT, { body: chat({ model: 'big' }) })
    assert.equal(status, 502)
    assert.match(json.detail, /^External provider 'example' request failed: /)
  })

  test('the semantic cache has its metrics', async () => {
    const semanticCache = { embedder: './e.mjs' }
    const { ask } = await rig(
      productionStack,
      STATIC,
      { [W1]: engine(), [W2]: engine() },
      { ...more, semanticCache },
    )
    for (let i = 0; i < 4; i++) await ask(CHAT, { body: chat() })
    const page = (await ask('/metrics')).text
    for (const line of ['hits', 'misses', 'hit_ratio', 'size'])
      assert.match(page, new RegExp(`^vllm:semantic_cache_${line}\\{server="router"\\} `, 'm'))
    assert.match(page, /^vllm:semantic_cache_hits\{server="router"\} 3\.0$/m)
    assert.match(page, /^vllm:semantic_cache_hit_ratio\{server="router"\} 0\.75$/m)
    assert.match(page, /^# TYPE vllm:semantic_cache_latency gauge$/m)
  })
})
