// TCP sockets for ZMTP as Workers have them: connecting only.
import { connect } from 'cloudflare:sockets'
import { wireOf, type Sockets } from '../../src/zmtp/wire.ts'

export const workersSockets: Sockets = {
  async connect({ host: hostname, port }, signal) {
    signal.throwIfAborted()
    const socket = connect({ hostname, port })
    const end = () => void socket.close().catch(() => {})
    signal.addEventListener('abort', end, { once: true })
    try {
      await socket.opened
    } catch (error) {
      signal.throwIfAborted()
      throw error
    } finally {
      signal.removeEventListener('abort', end)
    }
    return wireOf(socket.readable, socket.writable, end)
  },
}
