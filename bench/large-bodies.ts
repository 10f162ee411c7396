// Resident memory while eight 64 MB bodies are read at once: `node bench/large-bodies.ts`. The aim is ≤ 1.3 × their sum.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { serve } from '../adapters/node/http.ts'

const COUNT = 8
const SIZE = 64 * 1024 * 1024

/** Uploads from another process, so that the sender's memory is not counted. */
async function upload(port: number): Promise<void> {
  const piece = Buffer.alloc(65_536, 'x')
  const one = async () => {
    const socket = connect({ host: '127.0.0.1', port })
    await once(socket, 'connect')
    socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${SIZE}\r\n\r\n`)
    for (let sent = 0; sent < SIZE; sent += piece.length)
      if (!socket.write(piece)) await once(socket, 'drain')
    await once(socket, 'data')
    socket.destroy()
  }
  await Promise.all(Array.from({ length: COUNT }, one))
}

async function main(): Promise<void> {
  const held: Uint8Array[] = []
  const all = Promise.withResolvers<void>()
  const served = await serve(async (request) => {
    held.push(await request.bytes())
    if (held.length === COUNT) all.resolve()
    await all.promise
    return new Response('ok')
  })
  const before = process.memoryUsage.rss()
  let peak = before
  const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 5)
  const startedAt = performance.now()
  const child = fork(import.meta.filename, [String(served.port)])
  await once(child, 'exit')
  clearInterval(watch)
  const factor = (peak - before) / (COUNT * SIZE)
  const seconds = (performance.now() - startedAt) / 1000
  console.log(
    `${(before / 2 ** 20).toFixed(0)} → ${(peak / 2 ** 20).toFixed(0)} MiB: ${factor.toFixed(2)} × the bodies, ${seconds.toFixed(1)} s`,
  )
  await served.close(0)
}

const port = process.argv[2]
if (port === undefined) await main()
else await upload(Number(port))
