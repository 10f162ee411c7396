import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'

const PROGRAM = new URL('../../../adapters/node.js', import.meta.url).pathname
/** Tells at the end which of Node's own modules were loaded. */
const TELL = "process.on('exit', () => console.error(process.moduleLoadList.join('\\n')))"

test('a plain router loads neither fetch nor TLS, not for its own answers either', async (t) => {
  const flags = ['--import', `data:text/javascript,${encodeURIComponent(TELL)}`]
  const child = spawn(process.execPath, [...flags, PROGRAM, '--port', '0', 'http://127.0.0.1:9'])
  t.after(() => child.kill('SIGKILL'))
  let told = ''
  child.stderr.on('data', (bytes) => (told += String(bytes)))
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const url = /http:\S+/.exec(String(line))![0]
  for (const path of ['/livez', '/metrics', '/v1/models', '/nowhere']) await (await fetch(url + path)).text()
  const body = '{"model":"m","messages":[]}'
  assert.equal((await fetch(`${url}/v1/chat/completions`, { method: 'POST', body })).status, 503)
  child.kill('SIGTERM')
  await once(child, 'close')
  assert.match(told, /NativeModule _http_server$/m)
  assert.doesNotMatch(told, /deps\/undici\/undici|NativeModule (?:tls|https|http2)$/m)
})
