// Other routers' command lines: what is wrong is told where it was said.
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadTranslated } from '../../../adapters/cli/as.ts'
import { distributedLlmRouter } from '../../../src/dialects/distributed-llm-router/index.ts'
import { dlrouter } from '../../../src/dialects/dlrouter/index.ts'
import { productionStack } from '../../../src/dialects/production-stack/index.ts'
import { sglangRouter } from '../../../src/dialects/sglang-router/index.ts'

const WRONG = 'MAX_QUEUE_SIZE: Input should be a valid integer, unable to parse string as an integer'

test('a wrong variable is told with the file and line that set it, unless the environment did', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'as-'))
  t.after(() => rm(directory, { recursive: true }))
  await mkdir(join(directory, 'gateway'))
  await writeFile(join(directory, 'gateway/.env'), 'AUTH_TOKEN=a\n# room\nMAX_QUEUE_SIZE=zz\n')
  const spoken = { dialect: distributedLlmRouter, argv: [], defaults: 'readme', isStrict: false } as const
  const messages = async (environment: Record<string, string>) =>
    (await loadTranslated(spoken, { directory, environment })).issues.map(({ message }) => message)
  assert.deepEqual(await messages({}), [`gateway/.env:3: ${WRONG}`])
  assert.deepEqual(await messages({ MAX_QUEUE_SIZE: 'yy' }), [WRONG])
  await writeFile(join(directory, '.env'), 'MAX_QUEUE_SIZE=xx\n')
  assert.deepEqual(await messages({}), [`.env:1: ${WRONG}`])
})

for (const [dialect, argv, sentence] of [
  [
    productionStack,
    '--service-discovery static --static-backend http://a:1 --static-models m --routing-logic roundrobin',
    'ambiguous option: --static-backend could match --static-backends, --static-backend-health-checks, --static-backend-health-check-interval, --static-backend-health-check-timeout-seconds',
  ],
  [
    productionStack,
    '--service-discovery static --static-backends http://a:1 --static-models m --routing-logic roundrobin --static-backend-health-checks --static-model-types speech',
    '--static-model-types: speech is none of chat, completion, embeddings, rerank, score, transcription, vision, messages',
  ],
  [
    dlrouter,
    '--backend sglang --prefill_urls http://a:1 --decode_urls http://b:1 --prefill_bootstrap_ports x',
    'prefill_bootstrap_ports must be port numbers',
  ],
] as const)
  test(`${dialect.name}: one mistake is one sentence: ${sentence.slice(0, 40)}…`, async () => {
    const spoken = { dialect, argv: argv.split(' '), defaults: 'readme', isStrict: false } as const
    const { issues } = await loadTranslated(spoken, { directory: '.', environment: {} })
    assert.deepEqual(
      issues.map(({ message }) => message),
      [sentence],
    )
  })

for (const [argv, sentence] of [
  [['--client-cert-path', 'x'], 'needs --client-key-path too'],
  [['--tls-key-path', 'x'], 'needs --tls-cert-path too: give both to serve HTTPS, or neither'],
  [
    ['--retry-max-backoff-ms', '7'],
    'is shorter than --retry-initial-backoff-ms (100 ms): make it longer, or --retry-initial-backoff-ms shorter',
  ],
] as const)
  test(`${argv[0]} is set against another flag by that flag's name`, async () => {
    const spoken = { dialect: sglangRouter, argv, defaults: 'readme', isStrict: false } as const
    const { issues } = await loadTranslated(spoken, { directory: '.', environment: {} })
    assert.deepEqual(
      issues.map(({ name, message }) => [name, message]),
      [[argv[0], sentence]],
    )
  })
