import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { Program } from './_process.ts'

const directory = await mkdtemp(join(tmpdir(), 'fetchway-connect-'))
after(() => rm(directory, { recursive: true, force: true }))

function start(t: TestContext, ...argv: string[]): Program {
  const program = new Program(argv, directory)
  t.after(() => program.signal('SIGKILL'))
  return program
}

test('connect says when it is connected, ends when its token is revoked, and is told why', async (t) => {
  const file = join(directory, 'fleet.yaml')
  await writeFile(file, 'tunnelTokens: [{token: box-1-secret, name: box-1}]\nport: 0\n')
  const router = start(t, '--config', file)
  const [, url = ''] = await router.says(/Listening on (\S+)/)
  const engine = start(t, 'engine', '--model', 'm')
  const [, engineUrl = ''] = await engine.says(/engine on (\S+)/)
  const flags = ['connect', url, '--engine', engineUrl, '--token', 'box-1-secret']

  const wrongName = start(t, ...flags, '--name', 'box-2')
  assert.equal(await wrongName.ended, 1)
  assert.match(wrongName.output, /^fetchway: the router refused: the token is not for a worker named box-2$/m)

  const box = start(t, ...flags, '--name', 'box-1')
  await box.says(/^Connected to http:\/\/127\.0\.0\.1:\d+ as box-1, worker w-\w+$/m)
  await router.says(/worker tunnel:box-1 runs vllm/)
  const body = JSON.stringify({ model: 'm', max_tokens: 3, messages: [{ role: 'user', content: 'Hi' }] })
  const headers = { 'content-type': 'application/json' }
  assert.equal((await fetch(`${url}/v1/chat/completions`, { method: 'POST', body, headers })).status, 200)

  await writeFile(file, 'tunnelTokens: [another]\nport: 0\n')
  router.signal('SIGHUP')
  assert.equal(await box.ended, 1)
  assert.match(box.output, /^fetchway: the router refused: the token of this worker was revoked$/m)
  assert.doesNotMatch(router.output + box.output, /box-1-secret/)

  router.signal('SIGTERM')
  assert.equal(await router.ended, 0)
})

test('a connect without what it needs says what', async (t) => {
  const cases: [string[], RegExp][] = [
    [[], /where is the router\?/],
    [['http://127.0.0.1:9'], /which engine\?/],
    [['http://127.0.0.1:9', '--engine', '127.0.0.1:8000'], /a token of the router is needed/],
    [['http://127.0.0.1:9', '--engine', 'gpu box', '--token', 't'], /has a space in it/],
    [['http://127.0.0.1:9', '--engien', 'x'], /engien/],
  ]
  for (const [argv, what] of cases) {
    const program = start(t, 'connect', ...argv)
    assert.equal(await program.ended, 2)
    assert.match(program.output, what)
  }
})
