import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { client, worker } from './rig.ts'
import type { Peer } from './rig.ts'

const PROGRAM = new URL('../../../adapters/node.js', import.meta.url).pathname
const PACKAGED = new URL('../../../node_modules/.bin/node', import.meta.url)
const skip = existsSync(PACKAGED) ? false : 'no Node is packaged for this platform'
/** Makes this Node one that can't run the program by itself. */
const TOO_OLD = ['--no-experimental-strip-types']

/** Starts the program and waits until it says where it listens. */
async function start(t: TestContext, args: readonly string[], flags: readonly string[] = []) {
  const child = spawn(process.execPath, [...flags, PROGRAM, '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  let text = ''
  const url = await new Promise<string>((resolve, reject) => {
    const read = (bytes: Buffer) => {
      text += bytes.toString()
      const match = /Listening on (\S+)/.exec(text)
      if (match) resolve(match[1]!)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.once('exit', (code) => reject(new Error(`exit ${code}: ${text}`)))
  })
  return { child, url }
}

const exitOf = async (child: ChildProcess) => (await once(child, 'exit'))[0] as number | null

/** An engine that answers every question about itself, and holds a chat open until told. */
function engine(t: TestContext, release: Promise<void>) {
  return worker(t, async (peer: Peer) => {
    let at = 0
    for (;;) {
      const end = await headEnd(peer, at)
      const head = peer.text.slice(at, end)
      at = end
      if (!head.includes('/v1/chat/completions')) {
        const body = JSON.stringify(
          head.includes('/v1/models') ? { object: 'list', data: [{ id: 'm', object: 'model' }] } : {},
        )
        peer.socket.write(
          `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        )
        continue
      }
      const event = 'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
      const frame = `${event.length.toString(16)}\r\n${event}\r\n`
      peer.socket.write(
        `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n${frame}`,
      )
      await release
      peer.socket.end('e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n')
      return
    }
  })
}

async function headEnd(peer: Peer, from: number): Promise<number> {
  while (!peer.text.includes('\r\n\r\n', from))
    await new Promise((resolve) => peer.socket.once('data', resolve))
  return peer.text.indexOf('\r\n\r\n', from) + 4
}

async function chat(t: TestContext, url: string): Promise<Peer> {
  while ((await fetch(`${url}/readyz`)).status !== 200)
    await new Promise((resolve) => setTimeout(resolve, 20))
  const peer = await client(t, url)
  const body = JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'hi' }] })
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
  peer.socket.write(head + body)
  await peer.until('"x"')
  return peer
}

test('SIGTERM takes readiness away at once, lets a stream finish, and exits with 0', async (t) => {
  const release = Promise.withResolvers<void>()
  const { ref } = await engine(t, release.promise)
  const { child, url } = await start(t, [ref.url])
  const peer = await chat(t, url)
  const exit = exitOf(child)
  child.kill('SIGTERM')
  while ((await fetch(`${url}/readyz`)).status !== 503) await new Promise((resolve) => setTimeout(resolve, 5))
  release.resolve()
  await peer.until('[DONE]')
  assert.equal(await exit, 0)
})

for (const threads of ['1', '2']) {
  test(`a stream that outlasts --grace is told why it ends (${threads} threads)`, async (t) => {
    const { ref } = await engine(t, new Promise(() => undefined))
    const { child, url } = await start(t, [ref.url, '--grace', '100ms', '--threads', threads])
    const peer = await chat(t, url)
    const exit = exitOf(child)
    child.kill('SIGTERM')
    await peer.until('The router is being stopped.')
    await peer.closed
    assert.match(peer.text, /\r\ndata: \{"error":\{[^\n]*"code":"total_timeout"[^\n]*\n\n\r\n0\r\n\r\n$/)
    assert.equal(await exit, 0)
  })
}

test('a second signal ends the process at once', async (t) => {
  const { ref } = await engine(t, new Promise(() => undefined))
  const { child, url } = await start(t, [ref.url])
  await chat(t, url)
  const exit = exitOf(child)
  child.kill('SIGTERM')
  // One that comes right behind is the same Ctrl-C, passed on by a parent; so they go on until one counts.
  const again = setInterval(() => child.kill('SIGTERM'), 60)
  assert.equal(await exit, 143)
  clearInterval(again)
})

test(
  'a Node that is too old hands over, passes signals on, and takes its child with it',
  { skip },
  async (t) => {
    const ended = await start(t, ['127.0.0.1:9'], TOO_OLD)
    assert.equal((await fetch(`${ended.url}/livez`)).status, 200)
    const exit = exitOf(ended.child)
    ended.child.kill('SIGTERM')
    assert.equal(await exit, 0)
    const killed = await start(t, ['127.0.0.1:9'], TOO_OLD)
    const peer = await client(t, killed.url)
    killed.child.kill('SIGKILL')
    await peer.closed
  },
)

test('a command that has done its work ends where it was handed over, too', { skip }, async (t) => {
  const child = spawn(process.execPath, [...TOO_OLD, PROGRAM, '--version'], { stdio: 'ignore' })
  t.after(() => child.kill('SIGKILL'))
  assert.equal(await exitOf(child), 0)
})
