// Makes the path of a unix socket free to listen on, without taking it from a living server.
import { lstat, unlink } from 'node:fs/promises'
import { connect } from 'node:net'

/** Removes a socket file that nobody listens on. Throws when somebody does, or when the path is no socket. */
export async function freeSocketFile(path: string): Promise<void> {
  const stat = await lstat(path).catch(() => null)
  if (stat === null) return
  if (!stat.isSocket()) throw new Error(`${path} exists and is no socket`)
  if (await isAlive(path)) throw new Error(`another process listens on ${path}`)
  await unlink(path)
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
