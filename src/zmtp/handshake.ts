// How two ZMTP 3 peers meet: 64 bytes of greeting each, the NULL mechanism, and READY commands with what kind of socket each is.
import { ZmtpError } from './frames.ts'

export type SocketType = 'PUB' | 'SUB' | 'DEALER' | 'ROUTER' | 'REQ' | 'PULL'

export const GREETING_BYTES = 64
const MAJOR = 10
const MINOR = 11
const MECHANISM = 12
const MECHANISM_BYTES = 20

/** Who may talk to whom (RFC 23). */
const PEERS: Readonly<Record<SocketType, readonly string[]>> = {
  PUB: ['SUB', 'XSUB'],
  SUB: ['PUB', 'XPUB'],
  DEALER: ['ROUTER', 'DEALER', 'REP'],
  REQ: ['ROUTER', 'REP'],
  ROUTER: ['DEALER', 'ROUTER', 'REQ'],
  PULL: ['PUSH'],
}

/** Our greeting: version 3.1, mechanism NULL, not as a server. */
export function greeting(): Uint8Array {
  const bytes = new Uint8Array(GREETING_BYTES)
  bytes[0] = 0xff
  bytes[9] = 0x7f
  bytes[MAJOR] = 3
  bytes[MINOR] = 1
  new TextEncoder().encodeInto('NULL', bytes.subarray(MECHANISM))
  return bytes
}

/** The minor version of a peer's greeting. Throws `ZmtpError` for what is no ZMTP 3 with the NULL mechanism. */
export function readGreeting(bytes: Uint8Array): number {
  if (bytes[0] !== 0xff || bytes[9] !== 0x7f) throw new ZmtpError('the other side does not speak ZMTP')
  if (bytes[MAJOR]! < 3) throw new ZmtpError(`the other side speaks ZMTP ${bytes[MAJOR]}, which is too old`)
  const field = bytes.subarray(MECHANISM, MECHANISM + MECHANISM_BYTES)
  const end = field.indexOf(0)
  const mechanism = String.fromCharCode(...field.subarray(0, end < 0 ? field.length : end))
  if (mechanism !== 'NULL')
    throw new ZmtpError(`the other side asks for ${JSON.stringify(mechanism)}, and only NULL is spoken here`)
  return bytes[MAJOR]! > 3 ? 1 : bytes[MINOR]!
}

/** What a READY command says of us. An identity makes a ROUTER know us again. */
export function readyData(type: SocketType, identity: Uint8Array): Uint8Array {
  const properties: [string, Uint8Array][] = [['Socket-Type', new TextEncoder().encode(type)]]
  if (type !== 'PUB' && type !== 'SUB' && type !== 'PULL') properties.push(['Identity', identity])
  const size = properties.reduce((sum, [name, value]) => sum + 5 + name.length + value.length, 0)
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const [name, value] of properties) {
    bytes[at++] = name.length
    at += new TextEncoder().encodeInto(name, bytes.subarray(at)).written
    view.setUint32(at, value.length)
    bytes.set(value, at + 4)
    at += 4 + value.length
  }
  return bytes
}

export interface PeerFacts {
  readonly type: string
  /** Empty: it has none. */
  readonly identity: Uint8Array
}

/** Reads a READY command of a peer of `own`. Throws `ZmtpError` when it is broken or the two don't go together. */
export function readReady(data: Uint8Array, own: SocketType): PeerFacts {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  let type = ''
  let identity: Uint8Array = new Uint8Array(0)
  for (let at = 0; at < data.length;) {
    const nameEnd = at + 1 + data[at]!
    if (nameEnd + 4 > data.length) throw new ZmtpError('a READY command that breaks off')
    const name = String.fromCharCode(...data.subarray(at + 1, nameEnd)).toLowerCase()
    const end = nameEnd + 4 + view.getUint32(nameEnd)
    if (end > data.length) throw new ZmtpError('a READY command that breaks off')
    const value = data.slice(nameEnd + 4, end)
    if (name === 'socket-type') type = String.fromCharCode(...value.subarray(0, 32))
    if (name === 'identity') identity = value
    at = end
  }
  if (!PEERS[own].includes(type))
    throw new ZmtpError(`the other side is a ${type || 'socket of no type'}, which ${own} can't talk to`)
  if (identity.length > 255) throw new ZmtpError('an identity of more than 255 bytes')
  return { type, identity }
}
