import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import { writePiece, passStart } from '../../../adapters/node/pieces.ts'
import { SocketWriter } from '../../../adapters/node/writer.ts'

test('what is written from memory that is used again comes whole and in order, however late it is read', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const open = async () => {
    const near = connect(port, '127.0.0.1')
    const [far] = (await once(server, 'connection')) as [Socket]
    if (near.connecting) await once(near, 'connect')
    t.after(() => [near, far].forEach((socket) => socket.destroy()))
    return { near, far, writer: new SocketWriter(near), sent: '' }
  }
  const [quick, late, later] = [await open(), await open(), await open()]
  const memory = Buffer.alloc(65_536)
  const counts = { full: 0, behind: 0 }
  for (let i = 0; i < 1200; i++) {
    // All sizes: with a view of its own, without, and more than there is room for.
    const text = `${i} ${String.fromCharCode(97 + (i % 26)).repeat(i % 3 === 0 ? i % 900 : (7919 * i) % 40_000)};`
    for (const end of i % 40 === 0 ? [quick, late, later] : [late, later]) {
      if (!end.writer.isEmpty) counts.behind++
      const size = memory.write(text, 'latin1')
      const isPiece = i % 7 === 0
      const hasRoom = isPiece
        ? writePiece(end.writer, '<', Buffer.from(text), '>')
        : passStart(end.writer, memory, size)
      if (!hasRoom) counts.full++
      end.sent += isPiece ? `<${text}>` : text
      memory.fill(0x21, 0, size)
    }
    if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  assert.ok(counts.full > 2 && counts.behind > 2)
  for (const { near, far, sent } of [quick, late, later]) {
    near.end()
    let text = ''
    for await (const bytes of far as AsyncIterable<Buffer>) text += bytes.toString('latin1')
    assert.ok(text === sent)
  }
})
