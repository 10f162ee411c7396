// The READMEs' commands through a shell, with nothing but the program replaced, and their requests against engines.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { loadTranslated } from '../../adapters/cli/as.ts'
import type { Dialect } from '../../src/dialects/dialect.ts'
import { dialectHelp } from '../../src/dialects/help.ts'
import { sglangLaunchServer } from '../../src/dialects/sglang-launch-server/index.ts'
import { sglangRouter } from '../../src/dialects/sglang-router/index.ts'
import { vllmRouter } from '../../src/dialects/vllm-router/index.ts'
import { fleetOf, MODES } from '../journeys/_pairs.ts'
import { callsOf, chat, engine, eventually, headerOf, W1 } from '../journeys/_rig.ts'
import * as commands from './_readme.ts'
import { rig } from './_rig.ts'
import { translated } from './_translate.ts'

let directory = ''
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fetchway-readme-'))
  await mkdir(join(directory, 'target/release'), { recursive: true })
  // What a start script calls; it tells the words that the shell gave it.
  for (const name of ['python', 'cargo', 'vllm-router', 'target/release/vllm-router']) {
    await writeFile(join(directory, name), '#!/bin/sh\nprintf "%s\\037" "$@"\n')
    await chmod(join(directory, name), 0o755)
  }
})
after(() => rm(directory, { recursive: true }))

/** The words that a program gets of a command, by the shell. */
function wordsOf(command: string): string[] {
  const env = { PATH: `${directory}:${process.env['PATH'] ?? ''}` }
  return execFileSync('sh', ['-c', command], { cwd: directory, env, encoding: 'utf8' })
    .split('\x1f')
    .slice(0, -1)
}

/** What stands before the program's own flags. */
const PREFIXES = [
  ['-m', 'sglang_router.launch_router'],
  ['-m', 'sglang_router.launch_server'],
  ['run', '--release'],
]

function flagsOf(command: string): string[] {
  const words = wordsOf(command)
  const prefix = PREFIXES.find((one) => one.every((word, at) => words[at] === word)) ?? []
  return words.slice(prefix.length)
}

async function loaded(dialect: Dialect, argv: readonly string[], environment: Record<string, string> = {}) {
  const spoken = { dialect, argv, defaults: 'readme', isStrict: false } as const
  const { config, issues } = await loadTranslated(spoken, { directory, environment })
  assert.ok(config, JSON.stringify(issues))
  return config
}

for (const [dialect, listed] of [
  [sglangRouter, commands.SGLANG],
  [vllmRouter, commands.VLLM],
] as const)
  for (const { text, expected } of listed)
    test(`${dialect.name}: ${text.replaceAll(/\s*\\?\n\s*/g, ' ').trim()}`, async () => {
      const config = await loaded(dialect, flagsOf(text))
      const found = Object.keys(expected).map((key) => [key, config[key as keyof typeof config]])
      assert.deepEqual(Object.fromEntries(found), expected)
    })

test('an example that breaks off for want of a backslash begins as far as it goes', async () => {
  const text = `python -m sglang_router.launch_router \\
    --pd-disaggregation \\
    --prefill http://prefill1:8000`
  assert.deepEqual((await loaded(sglangRouter, flagsOf(text))).prefill, ['http://prefill1:8000,none'])
})

test('pairs may begin with one half, and the other is added', async () => {
  const [prefill, decode] = ['http://p1:8000', 'http://d1:8000']
  const fleet = fleetOf(MODES.sglang, [prefill, decode])
  const { ask } = await rig(sglangRouter, `--pd-disaggregation --prefill ${prefill} 8000`, fleet)
  assert.equal((await ask('/readiness')).status, 503)
  assert.equal((await ask('/workers', { body: { url: decode, worker_type: 'decode' } })).status, 202)
  await eventually(
    async () => (await ask('/readiness')).status === 200,
    () => 'it did not become ready',
  )
  assert.equal((await ask('/v1/chat/completions', { body: chat() })).status, 200)
  assert.deepEqual(
    Object.values(fleet).map((worker) => callsOf(worker).length),
    [1, 1],
  )
})

test('the co-launch', async () => {
  const text = `python -m sglang_router.launch_server \\
    --model-path meta-llama/Meta-Llama-3.1-8B-Instruct \\
    --dp-size 4 \\
    --host 0.0.0.0 \\
    --port 30000`
  const argv = flagsOf(text)
  const config = await loaded(sglangLaunchServer, argv)
  const { launch } = await translated(sglangLaunchServer, argv.join(' '))
  assert.deepEqual([config.host, config.port, launch?.count], ['0.0.0.0', 30000, 4])
  assert.deepEqual(launch?.argv.slice(0, 2), ['--model-path', 'meta-llama/Meta-Llama-3.1-8B-Instruct'])
})

for (const dialect of [sglangRouter, sglangLaunchServer, vllmRouter])
  test(`${dialect.name} --help names each of its flags`, () => {
    const help = dialectHelp(dialect, ['--help'])
    for (const { names } of dialect.flags([])) assert.ok(help.includes(names[0]), names[0])
  })

test('validation URLs are read from .env, and the flag beats them', async (t) => {
  const file = join(directory, '.env')
  t.after(() => rm(file))
  await writeFile(file, '# .env\nAPI_KEY_VALIDATION_URLS=https://codebase.helmholtz.cloud/api/v4/user\n')
  const urlsOf = async (argv: string[], environment = {}) =>
    (await loaded(vllmRouter, argv, environment)).apiKeyValidationUrls
  assert.deepEqual(await urlsOf([]), ['https://codebase.helmholtz.cloud/api/v4/user'])
  assert.deepEqual(await urlsOf([], { API_KEY_VALIDATION_URLS: 'https://a/me' }), ['https://a/me'])
  assert.deepEqual(await urlsOf(['--api-key-validation-urls', 'https://b/me']), ['https://b/me'])
})

test('“Sending Requests”: /generate and the OpenAI endpoint answer', async () => {
  const model = 'meta-llama/Meta-Llama-3.1-8B-Instruct'
  const worker = engine({ engine: 'sglang', models: [model] })
  const { ask } = await rig(sglangRouter, `--worker-urls ${W1}`, { [W1]: worker })
  const generated = await ask('/generate', {
    body: {
      text: 'What is the capital of France?',
      sampling_params: { temperature: 0.7, max_new_tokens: 100 },
    },
  })
  assert.equal(generated.status, 200)
  const { text, meta_info: info } = generated.json
  assert.ok(text.length > 0 && info.completion_tokens > 0 && info.completion_tokens <= 100)
  const answered = await ask('/v1/chat/completions', {
    body: { model, messages: [{ role: 'user', content: 'What is the capital of France?' }] },
  })
  assert.equal(answered.status, 200)
  assert.equal(answered.json.choices[0].message.role, 'assistant')
})

test('“Adding Workers” and “Removing Workers”: POST without a body, the URL in the query', async () => {
  const url = 'http://127.0.0.1:30001'
  const { ask } = await rig(sglangRouter, '', { [url]: engine({ engine: 'sglang' }) })
  const added = await ask(`/add_worker?url=${url}`, { method: 'POST' })
  assert.deepEqual([added.status, added.text], [200, `Successfully added worker: ${url}`])
  assert.equal((await ask('/v1/chat/completions', { body: chat() })).status, 200)
  const removed = await ask(`/remove_worker?url=${url}`, { method: 'POST' })
  assert.deepEqual([removed.status, removed.text], [200, `Successfully removed worker: ${url}`])
  assert.equal((await ask('/v1/chat/completions', { body: chat() })).status, 503)
})

test('“Load Balancing Policies”: the session of X-Session-ID keeps its worker', async () => {
  const fleet = { [W1]: engine({ models: ['llama-3'] }), 'http://w2:8000': engine({ models: ['llama-3'] }) }
  const { ask } = await rig(
    vllmRouter,
    `--worker-urls ${Object.keys(fleet).join(' ')} --policy consistent_hash`,
    fleet,
  )
  const headers = { 'X-Session-ID': 'my-session-123' }
  for (let i = 0; i < 4; i++) {
    const body = { model: 'llama-3', messages: [{ role: 'user', content: 'Hello!' }], max_tokens: 4 }
    assert.equal((await ask('/v1/chat/completions', { body, headers })).status, 200)
  }
  const calls = Object.values(fleet).map((worker) => callsOf(worker))
  assert.deepEqual(
    calls.map(({ length }) => length).toSorted((one, other) => one - other),
    [0, 4],
  )
  assert.equal(headerOf(calls.find(({ length }) => length > 0)?.[0], 'x-session-id'), 'my-session-123')
})
