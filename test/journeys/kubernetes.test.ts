// Workers found in Kubernetes, on each runtime as a program: an API server with a certificate of its own authority, a token that
// is renewed, and engines behind its pods.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { Cluster, listen, pod } from '../discovery/kubernetes/_cluster.ts'
import { fileOf } from './_foreign.ts'
import { Running, type Start } from './_programs.ts'
import { chat, CHAT, engine, eventually, W1, W2, WORKERS, type Json } from './_rig.ts'
import { listenAll } from './_sockets.ts'

const CERT = fileOf('test/adapters/node/tls/cert.pem')
const KEY = fileOf('test/adapters/node/tls/key.pem')
/** As in docs/runtimes.md; the token and the certificate may be read, too. */
const ENVIRONMENT =
  '--allow-env=FETCHWAY_*,LOG_STREAM,LOG_TOKENS,NO_COLOR,WS_NO_BUFFER_UTIL,WS_NO_UTF_8_VALIDATE'
const LEAST = ['--quiet', '--no-prompt', '--allow-net', '--allow-read', ENVIRONMENT]
const DENO = ['run', ...LEAST, fileOf('adapters/deno/program.ts')]

const STARTS: readonly (Start & { readonly title: string; readonly own?: readonly string[] })[] = [
  { title: 'node', name: 'node', args: [fileOf('adapters/node.js')] },
  { title: 'node with threads', name: 'node', args: [fileOf('adapters/node.js')], own: ['--threads', '2'] },
  { title: 'deno', name: 'deno', args: DENO },
  { title: 'bun', name: 'bun', args: [fileOf('adapters/bun.ts')] },
]

const directory = await mkdtemp(join(tmpdir(), 'fetchway-kube-'))
const left = new Set<Running>()
after(async () => {
  for (const one of left) one.child.kill('SIGKILL')
  await rm(directory, { recursive: true, force: true })
})

const portOf = (url: string | undefined): number => Number(new URL(url ?? '').port)

describe('workers in Kubernetes', () => {
  for (const start of STARTS)
    it(`${start.title}: come, serve, drain and go`, async (t) => {
      const cluster = new Cluster()
      cluster.token = 'first'
      const token = join(directory, `token-${start.title}`)
      await writeFile(token, 'first\n')
      const [cert, key] = await Promise.all([readFile(CERT, 'utf8'), readFile(KEY, 'utf8')])
      const api = await listen(cluster, { cert, key })
      t.after(api.close)
      const engines = await listenAll({ [W1]: engine(), [W2]: engine() })
      const found = (uid: string, worker: string, isTerminating = false) =>
        pod(uid, { ip: '127.0.0.1', port: portOf(engines.get(worker)), isTerminating })
      cluster.put('pods', found('a', W1))

      const flags = ['--port', '0', '--discover', 'kubernetes', '--kubernetes-selector', 'app=engine']
      const server = ['--kubernetes-api', api.url, '--kubernetes-ca', CERT, '--kubernetes-token-file', token]
      const where = ['--kubernetes-namespace', 'models', '--kubernetes-port', 'http', '--log-level', 'error']
      const own = [...flags, ...server, ...where, ...(start.own ?? [])]
      const router = new Running(start, own, { directory, env: { FETCHWAY_STATE: 'off' } })
      left.add(router)
      await router.listens()
      const workers = async (): Promise<Json[]> => (await router.ask(WORKERS)).body.data
      const until = (title: string, isSo: (all: Json[]) => boolean) =>
        eventually(
          async () => isSo(await workers()),
          () => `${title}: ${router.errors}`,
        )

      await until('found', (all) => all.length === 1 && all[0].known)
      assert.equal((await router.ask(CHAT, chat())).status, 200)

      // The token is renewed: the next watch has the new one.
      await writeFile(token, 'second\n')
      cluster.token = 'second'
      cluster.endWatches()
      cluster.put('pods', found('b', W2))
      await until('the second found', (all) => all.length === 2 && all.every(({ known }) => known))

      const page = await (await fetch(`${router.url}/metrics`)).text()
      assert.match(page, /^fetchway_discovery_workers\{source="kubernetes"\} 2$/m)
      assert.match(page, /^fetchway_discovery_problem\{source="kubernetes"\} 0$/m)
      const { data } = (await router.ask('/fetchway/v1/discovery')).body
      assert.deepEqual(
        [data.length, data[0].name, data[0].workers, data[0].problem],
        [1, 'kubernetes', 2, null],
      )

      const headers = { 'content-type': 'application/json', 'x-fault': 'slow=20ms' }
      const body = JSON.stringify(chat({ stream: true, max_tokens: 40 }))
      const stream = await fetch(router.url + CHAT, { method: 'POST', headers, body })
      cluster.put('pods', found('a', W1, true))
      cluster.put('pods', found('b', W2, true))
      await until('draining', (all) => all.length === 2 && all.every(({ draining }) => draining))
      assert.equal((await router.ask('/readyz')).status, 503)
      assert.match(await stream.text(), /data: \[DONE\]\n\n$/)
      cluster.remove('pods', 'a')
      cluster.remove('pods', 'b')
      await until('gone', (all) => all.length === 0)

      assert.equal(await router.stop(), 0)
      assert.equal(router.errors, '')
      assert.ok(cluster.asked.every(({ path }) => path === '/api/v1/namespaces/models/pods'))
    })
})
