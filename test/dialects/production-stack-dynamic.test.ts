// The dynamic configuration of production-stack: what a file means beside the flags, and what a reload takes over.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { watchFiles } from '../../adapters/cli/watch.ts'
import { parseConfigFile } from '../../adapters/cli/yaml.ts'
import { planReload } from '../../src/config/reload.ts'
import { configSchema } from '../../src/config/schema.ts'
import { productionStack } from '../../src/dialects/production-stack/index.ts'
import type { Circumstances, Translation } from '../../src/dialects/dialect.ts'

/** A command line with a file beside it. */
function translated(file: string, text: string | null, line = ''): Promise<Translation> {
  const by: Circumstances = {
    environment: {},
    defaults: 'readme',
    isStrict: false,
    readFile: (name) => Promise.resolve(name === file ? text : null),
    parse: parseConfigFile,
  }
  const kind = file.endsWith('.json') ? 'json' : 'yaml'
  const argv = `--dynamic-config-${kind} ${file} ${line}`.trim().split(' ')
  return Promise.resolve(productionStack.translate(argv, by))
}

const valuesOf = ({ config, problems }: Translation): Record<string, unknown> => {
  assert.deepEqual(problems, [])
  return Object.fromEntries([...config].map(([key, { value }]) => [key, value]))
}

/** What /health shows. */
const shownBy = ({ options = {} }: Translation) =>
  (options['live'] as { dynamic: Record<string, unknown> }).dynamic

const PLAIN = `service_discovery: static
routing_logic: session
session_key: x-user-id
static_backends: http://a:1,http://b:2
static_models: m,m
static_model_labels: x,y
static_aliases: s:m
`
const NESTED = `service_discovery: static
routing_logic: session
session_key: x-user-id
static_models:
  m:
    static_backends: [http://a:1, http://b:2]
    static_model_type: chat
static_aliases: {s: m}
`
const AS_JSON = JSON.stringify({
  service_discovery: 'static',
  routing_logic: 'session',
  session_key: 'x-user-id',
  static_backends: 'http://a:1,http://b:2',
  static_models: 'm,m',
  static_aliases: 's:m',
})

for (const [file, text] of [
  ['plain.yaml', PLAIN],
  ['nested.yaml', NESTED],
  ['dynamic.json', AS_JSON],
] as const)
  test(`${file} says what the flags would say`, async () => {
    const translation = await translated(file, text)
    const { workers, policy, aliases } = valuesOf(translation)
    assert.deepEqual(
      (workers as { url: string; models: string[] }[]).map(({ url, models }) => [url, models]),
      [
        ['http://a:1', ['m']],
        ['http://b:2', ['m']],
      ],
    )
    assert.equal(policy, 'production_stack_session')
    assert.deepEqual(aliases, { s: 'm' })
    assert.deepEqual(translation.watched, [file])
  })

test('what the file says counts for what it may change, flags count for the rest and stay', async () => {
  const line =
    '--routing-logic roundrobin --port 9 --max-instance-failover-reroute-attempts 7 --prefix-min-match-length 5'
  const text = `${PLAIN}port: 10\nengine_stats_interval: 4\n`
  const { policy, port, retries, prefixMinMatch, loadInterval } = valuesOf(
    await translated('f.yaml', text, line),
  )
  assert.deepEqual(
    [policy, port, retries, prefixMinMatch, loadInterval],
    ['production_stack_session', 9, 7, 5, '4s'],
  )
})

test('lists of labels are lists of labels', async () => {
  const text =
    PLAIN.replace('session\n', 'disaggregated_prefill\n') +
    'prefill_model_labels: [x]\ndecode_model_labels: [y]\n'
  const translation = await translated('f.yaml', text)
  const workers = valuesOf(translation)['workers'] as { role: string }[]
  assert.deepEqual(
    workers.map(({ role }) => role),
    ['prefill', 'decode'],
  )
  const dynamic = shownBy(translation)
  assert.deepEqual([dynamic['prefill_model_labels'], dynamic['decode_model_labels']], [['x'], ['y']])
})

test('/health gets all keys in order, with null for those that the file does not name', async () => {
  const dynamic = shownBy(await translated('f.yaml', PLAIN))
  assert.deepEqual(Object.keys(dynamic), Object.keys(dynamic).toSorted())
  assert.deepEqual(dynamic, {
    callbacks: null,
    decode_model_labels: null,
    k8s_label_selector: null,
    k8s_namespace: null,
    k8s_port: null,
    prefill_model_labels: null,
    routing_logic: 'session',
    service_discovery: 'static',
    session_key: 'x-user-id',
    static_aliases: 's:m',
    static_backend_health_check_interval: 60,
    static_backend_health_check_timeout_seconds: 10,
    static_backend_health_checks: false,
    static_backends: 'http://a:1,http://b:2',
    static_model_labels: 'x,y',
    static_model_types: null,
    static_models: 'm,m',
  })
})

for (const [text, problem] of [
  ['routing_logik: session', 'f.yaml:1: routing_logik: unknown key; did you mean routing_logic?'],
  ['a: 1\nb: [', 'f.yaml:2:'],
  [`${PLAIN}k8s_port: many`, 'f.yaml:8: k8s_port: expected a whole number, not "many"'],
  [
    `${PLAIN}static_backend_health_checks: maybe`,
    'f.yaml:8: static_backend_health_checks: expected true or false',
  ],
  ['routing_logic: ttft', 'f.yaml:1: routing_logic: "ttft" is none of roundrobin'],
  ['- a', 'f.yaml:1: expected keys like'],
  ['static_models: {m: {}}', 'f.yaml:1: static_models: m has no static_backends'],
  ['service_discovery: static', 'the following arguments are required: --routing-logic'],
  [null, 'f.yaml: there is no such file'],
] as const)
  test(`the file ${JSON.stringify(text?.slice(-40))} is refused: ${problem}`, async () => {
    const { problems = [] } = await translated('f.yaml', text)
    assert.ok(
      problems.some((one) => one.startsWith(problem)),
      problems.join('; '),
    )
  })

test('both kinds of file are one too many', async () => {
  const { problems = [] } = await translated('f.yaml', PLAIN, '--dynamic-config-json g.json')
  assert.ok(problems[0]?.includes('not allowed with argument'))
})

test('a reload takes over what is alive of the options of a dialect, and the rest waits for a restart', () => {
  const of = (fixed: number, live: number) =>
    configSchema.parse({ dialect: 'production-stack', dialectOptions: { fixed, live: { live } } })
  const running = of(1, 1)
  const same = planReload(running, of(1, 1))
  assert.deepEqual([same.changed, same.needRestart], [[], []])
  const { config, changed, needRestart } = planReload(running, of(2, 2))
  assert.deepEqual(config.dialectOptions, { fixed: 1, live: { live: 2 } })
  assert.deepEqual([changed, needRestart], [['dialectOptions'], ['dialectOptions']])
})

test('a file that is watched is told of when its contents change, and only then', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'watch-'))
  t.after(() => rm(directory, { recursive: true }))
  await writeFile(join(directory, 'f'), 'one')
  let told = 0
  const end = watchFiles(['f'], () => told++, { directory, interval: 5 })
  t.after(end)
  const until = async (count: number) => {
    for (let i = 0; told < count && i < 4000; i++) await wait(5)
    assert.equal(told, count)
  }
  await wait(30)
  assert.equal(told, 0)
  await writeFile(join(directory, 'f'), 'two')
  await until(1)
  await rm(join(directory, 'f'))
  await until(2)
})
