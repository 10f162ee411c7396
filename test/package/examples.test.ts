// The deployments under examples/: what they give to Workers, to Deno and to systemd is good as it stands.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { unstable_readConfig as readToml } from 'wrangler'
import { readConfig } from '../../adapters/workers/config.ts'
import { formatIssue } from '../../src/config/issues.ts'
import { parseDotenv } from '../../src/config/dotenv.ts'
import { filesLike, root } from './_run.ts'

const tomls = await filesLike('wrangler.toml', 'examples/**/wrangler.toml')

const read = (path: string): string => readFileSync(join(root, path), 'utf8')
/** Names in braces. */
const namesIn = (text: string) => [...text.matchAll(/\$\{(\w+)\}/g)].map(([, name = '']) => name)

test('there is a configuration of Workers for the repository and for each of their examples', () => {
  assert.deepEqual(tomls.toSorted(), [
    'examples/workers-dial-out/wrangler.toml',
    'examples/workers-tunnel/wrangler.toml',
    'wrangler.toml',
  ])
})

for (const path of tomls) {
  test(`${path}: the router takes it, given its secrets, and the objects are those that there are`, () => {
    const { vars, main, durable_objects, migrations } = readToml({ config: join(root, path) })
    const secrets = Object.fromEntries(namesIn(read(path)).map((name) => [name, `secret-${name}`]))
    const { config, issues } = readConfig({ ...vars, ...secrets })
    assert.deepEqual(issues.map(formatIssue), [])
    assert.ok(config !== null && config.workers.length + config.tunnelTokens.length > 0)
    assert.equal(main, join(root, 'adapters/workers.ts'))
    const classes = [
      ...read('adapters/workers.ts').matchAll(/Fetchway(?:Registry|Pool|Limiter|Tunnel|Batches)\b/g),
    ]
    const wanted = [...new Set(classes.map(([name]) => name))].toSorted()
    assert.deepEqual(
      durable_objects.bindings.map((one: { class_name: string }) => one.class_name).toSorted(),
      wanted,
    )
    assert.deepEqual(
      migrations.flatMap((one: { new_sqlite_classes?: string[] }) => one.new_sqlite_classes ?? []).toSorted(),
      wanted,
    )
  })

  if (path !== 'wrangler.toml') {
    test(`${path}: its page tells of every secret`, () => {
      const page = read(join(dirname(path), 'README.md'))
      for (const name of namesIn(read(path))) if (name !== 'NAME') assert.ok(page.includes(name), name)
    })
  }
}

test('the variables of the systemd example are those that its file names', () => {
  const given = parseDotenv(read('examples/on-prem-systemd/fetchway.env')).assignments.map(({ name }) => name)
  assert.deepEqual(
    given.toSorted(),
    [...new Set(namesIn(read('examples/on-prem-systemd/fetchway.yaml')))].toSorted(),
  )
})

test('the entry for Deno Deploy sets keys that there are', async () => {
  const names = [...read('examples/deno/deploy.ts').matchAll(/'(FETCHWAY_\w+)'\] \?\?= '([^']+)'/g)]
  assert.ok(names.length > 3)
  const { load } = await import('../../src/config/load.ts')
  const loaded = load({ environment: Object.fromEntries(names.map(([, name = '', value]) => [name, value])) })
  assert.deepEqual(loaded.issues, [])
  assert.ok(loaded.config !== null && loaded.warnings.length === 0)
})
