// The frames of a tunnel: what one WebSocket message between a router and a dialled-in worker holds.

/** The largest frame, header included, bytes. */
export const MAX_FRAME = 1_048_576
/** kind (1 byte), stream (4), value (8): big-endian; the payload follows. */
export const HEADER = 13
const MAX_VALUE = Number.MAX_SAFE_INTEGER

/**
 * What frames are, by the number on the wire. Those from `open` on are numbered by their order and sent again after a
 * reconnect; the ones before concern one connection alone.
 * - `hello`, `welcome`: JSON; the first frame each way.   `ping`, `pong`: somebody is there.
 * - `ack`: value = numbered frames received so far.
 * - `open`, `head`: JSON; a request, and the head of its answer.
 * - `data`: value = offset of its bytes in the body.   `end`: value = length of the body.
 * - `reset`: JSON `{kind, message}`; the stream is over for both sides.
 * - `credit`: value = offset up to which the other side may send.
 */
const KINDS = {
  hello: 1,
  welcome: 2,
  ping: 3,
  pong: 4,
  ack: 5,
  open: 16,
  head: 17,
  data: 18,
  end: 19,
  reset: 20,
  credit: 21,
} as const

export type FrameKind = keyof typeof KINDS

const NAMES = new Map<number, FrameKind>(
  Object.entries(KINDS).map(([name, number]) => [number, name as FrameKind]),
)

export interface Frame {
  readonly kind: FrameKind
  /** 0: the link itself. */
  readonly stream: number
  readonly value: number
  readonly payload: Uint8Array
}

/** The other side does not keep to the protocol. */
export class TunnelProtocolError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'TunnelProtocolError'
  }
}

const NOTHING = new Uint8Array(0)

export const isNumbered = (kind: FrameKind): boolean => KINDS[kind] >= KINDS.open

/** The bytes of a frame, a copy of the payload. Throws `RangeError` when it would be larger than `MAX_FRAME`, or a number is none. */
export function encodeFrame(
  kind: FrameKind,
  stream = 0,
  value = 0,
  payload: Uint8Array = NOTHING,
): Uint8Array {
  const size = HEADER + payload.byteLength
  if (size > MAX_FRAME) throw new RangeError(`a frame of ${size} bytes is too large`)
  if (!isCount(stream, 0xffff_ffff) || !isCount(value, MAX_VALUE))
    throw new RangeError('a frame needs whole numbers that are not negative')
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  bytes[0] = KINDS[kind]
  view.setUint32(1, stream)
  view.setUint32(5, Math.floor(value / 2 ** 32))
  view.setUint32(9, value % 2 ** 32)
  bytes.set(payload, HEADER)
  return bytes
}

/** Reads one message; the payload is a view of it. Throws `TunnelProtocolError` for what is no frame. */
export function decodeFrame(bytes: Uint8Array): Frame {
  if (bytes.byteLength < HEADER || bytes.byteLength > MAX_FRAME)
    throw new TunnelProtocolError(`a frame of ${bytes.byteLength} bytes`)
  const kind = NAMES.get(bytes[0] as number)
  if (kind === undefined) throw new TunnelProtocolError(`no frame has the kind ${bytes[0]}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const value = view.getUint32(5) * 2 ** 32 + view.getUint32(9)
  if (value > MAX_VALUE) throw new TunnelProtocolError('a number in a frame is too large')
  const stream = view.getUint32(1)
  if ((stream === 0) === isNumbered(kind))
    throw new TunnelProtocolError(`a ${kind} frame on stream ${stream}`)
  return { kind, stream, value, payload: bytes.subarray(HEADER) }
}

/** A frame whose payload is JSON. Errors as `encodeFrame`. */
export function encodeJson(kind: FrameKind, stream: number, value: unknown): Uint8Array {
  return encodeFrame(kind, stream, 0, new TextEncoder().encode(JSON.stringify(value)))
}

/** The JSON object in a payload. Throws `TunnelProtocolError` when it is none. */
export function readJson({ kind, payload }: Pick<Frame, 'kind' | 'payload'>): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(payload))
  } catch {
    throw new TunnelProtocolError(`the ${kind} frame holds no JSON`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TunnelProtocolError(`the ${kind} frame holds no JSON object`)
  return value as Record<string, unknown>
}

const isCount = (value: number, max: number) => Number.isInteger(value) && value >= 0 && value <= max
