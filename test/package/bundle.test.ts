// What `wrangler deploy` would upload, made by wrangler itself without a network.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { emptyFolder, root, run, type Ended } from './_run.ts'

/** Bytes of gzip that a Worker has at most: it shall not grow unseen. The aim, 120 KiB with all dialects in, is missed (bench/README.md). */
const MOST = 193_800

/** What only programs need: command lines and `.env`, listeners, threads, other runtimes. */
const FOREIGN = [
  /src\/(?:simulator|replay)\//,
  /src\/config\/(?:flags|dotenv|load|listening|words|members|json-schema)\.ts$/,
  /src\/(?:app|policies\/words|forward\/alarms|actors\/shared-workers|discovery\/kubernetes\/files)\.ts$/,
  /src\/metrics\/(?:check|merge|pretty|process-readings)\.ts$/,
  /src\/(?:zmtp\/binding|sharing\/(?:peers|call))\.ts$/,
  /dialects\/(?:lasting|production-stack\/(?:lasting|log-stats|sleep-watch))\.ts$/,
  /dialects\/python\/(?:pages|schemas|described|log)/,
  /adapters\/(?:node|cli|deno|bun)/,
  /node_modules\/(?!src\/src\/)/,
]

let ended: Ended
let code: Buffer
let sources: readonly string[]

before(async () => {
  await using folder = await emptyFolder()
  const settings = [
    'WRANGLER_SEND_METRICS=false',
    'CLOUDFLARE_CF_FETCH_ENABLED=false',
    'WRANGLER_HIDE_BANNER=true',
  ]
  const wrangler = join(root, 'node_modules/.bin/wrangler')
  ended = await run(
    ['env', ...settings, wrangler, 'deploy', '--dry-run', '--outdir', folder.path],
    root,
    `${join(root, 'node_modules/.bin')}:${process.env['PATH']}`,
  )
  code = readFileSync(join(folder.path, 'workers.js'))
  sources = (JSON.parse(readFileSync(join(folder.path, 'workers.js.map'), 'utf8')) as { sources: string[] })
    .sources
})

test('wrangler takes the configuration, its objects included', () => {
  assert.equal(ended.status, 0, ended.stderr)
  for (const binding of ['env.REGISTRY', 'env.POOL', 'env.LIMITER'])
    assert.ok(ended.stdout.includes(binding), binding)
})

test('a Worker is small', (t) => {
  const bytes = gzipSync(code, { level: 9 }).length
  t.diagnostic(`${bytes} bytes of gzip`)
  assert.ok(bytes <= MOST, `${bytes} bytes of gzip`)
})

test('a Worker has nothing in it that it does not need', () => {
  // Of packages the route table, whose own map calls it src/src.
  assert.ok(sources.some((source) => source.endsWith('src/infer.ts')))
  const foreign = sources.filter((source) => FOREIGN.some((part) => part.test(source)))
  assert.deepEqual(foreign, [])
})
