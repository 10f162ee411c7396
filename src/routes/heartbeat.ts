// POST /fetchway/v1/heartbeat: a worker tells of itself, where no socket listens for it or none reaches here.
import { authorizeAdmin, isSame, keyOf } from '../admission/auth.ts'
import { readBody } from '../admission/body.ts'
import type { Core } from '../core.ts'
import { decodeMsgpack } from '../msgpack.ts'
import { Refusal } from '../openai/errors.ts'
import { json } from './reply.ts'

const LIMITS = { bytes: 4096, items: 256, keys: 64 }

/** Takes the map that vLLM sends over ZeroMQ, in JSON or MessagePack. Answers with the worker and how long this heartbeat lasts. */
export async function takeHeartbeat(core: Core, request: Request): Promise<Response> {
  const isTrusted = authorize(core, request.headers)
  const heard = await core.host.registry('main').beat(await readValue(core, request), isTrusted)
  if (heard.kind === 'heard') {
    const { worker, url, isNew, expiresIn } = heard
    return json({ object: 'heartbeat', worker, url, registered: isNew, expires_in_ms: expiresIn })
  }
  if (heard.kind === 'invalid')
    throw new Refusal(400, 'invalid_heartbeat', `This is no heartbeat: ${heard.message}.`)
  throw new Refusal(
    401,
    'invalid_heartbeat_token',
    'Heartbeats must carry the token (heartbeatToken): as "Authorization: Bearer TOKEN", or as "token" in the body.',
  )
}

/** Without a token it is as adding a worker. True: the key or token in the header is enough. */
function authorize({ config }: Core, headers: Headers): boolean {
  const { heartbeatToken, adminKey } = config
  if (heartbeatToken === undefined) {
    authorizeAdmin(config, headers)
    return true
  }
  const sent = keyOf(headers) ?? ''
  return isSame(sent, heartbeatToken) || (adminKey !== undefined && isSame(sent, adminKey))
}

async function readValue(core: Core, request: Request): Promise<unknown> {
  const isMsgpack = /msgpack/i.test(request.headers.get('content-type') ?? '')
  const held = await readBody(request, core.buffers, core.config, core.host)
  try {
    return isMsgpack
      ? decodeMsgpack(held.bytes, LIMITS)
      : (JSON.parse(new TextDecoder().decode(held.bytes)) as unknown)
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    throw new Refusal(400, 'invalid_heartbeat', `This is no heartbeat: ${detail}.`)
  } finally {
    held.release()
  }
}
