// Something between a worker and its router that can break their connection.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** Listens in front of `to` (a URL, whose path is kept). */
export async function startMiddle(t: Pick<TestContext, 'after'>, to: string) {
  const target = new URL(to)
  const pairs: Socket[] = []
  let isOpen = true
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    if (!isOpen) return socket.destroy()
    const onward = connect(Number(target.port), target.hostname)
    onward.on('error', () => undefined)
    pairs.push(socket, onward)
    socket.pipe(onward).pipe(socket)
    socket.on('close', () => onward.destroy())
    onward.on('close', () => socket.destroy())
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const cut = () => {
    for (const socket of pairs.splice(0)) socket.destroy()
  }
  t.after(() => {
    cut()
    server.close()
  })
  const path = target.pathname.replace(/\/$/, '')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`,
    cut,
    connections: () => pairs.length / 2,
    open: (wanted: boolean) => (isOpen = wanted),
    /** Connections stay, and bring nothing any more. */
    freeze: () => pairs.forEach((socket) => socket.unpipe().pause()),
  }
}
