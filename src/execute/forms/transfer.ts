// vLLM's hand-overs, prefill first: NIXL (also in the orchestrated form), P2P/NCCL, Mooncake, MoRI-IO, and a store that both share.
import { askWorker } from '../../discovery/ask.ts'
import { UpstreamFailure, type HeaderList, type WorkerRef } from '../../host.ts'
import { scanTop } from '../../openai/scan.ts'
import type { Edit } from '../../openai/spans.ts'
import { editBody } from '../../openai/spans.ts'
import { join } from '../../openai/bytes.ts'
import { BOOTSTRAP_PORT, hostOf } from './bootstrap.ts'
import { oneToken } from './caps.ts'
import type { Form, Occasion } from './form.ts'

const PARAMS = 'kv_transfer_params'
const ASK_TIMEOUT = 5000

const params = (value: unknown): Edit => ({ kind: 'set', key: PARAMS, value: JSON.stringify(value) })

const ASK_KV = {
  do_remote_decode: true,
  do_remote_prefill: false,
  remote_engine_id: null,
  remote_block_ids: null,
  remote_host: null,
  remote_port: null,
}

/**
 * NIXL: the prefill answer's `kv_transfer_params` go on as they are, unknown members too; without any, decode computes all. In the
 * vLLM router's place the id of both legs names both engines, whatever the connector: theirs may be P2P without our knowing.
 */
export function nixl(occasion: Occasion): Form {
  const ids = occasion.core.config.dialect === 'vllm-router' ? pairIds(occasion) : base(occasion).ids
  return { ids, prefill: [...cap(occasion), params(ASK_KV)], decode: handedOn }
}

/** As NIXL, but prefill engines know no address of theirs that others reach: it is the host of their URL. */
export function orchestrated(occasion: Occasion): Form {
  const host = JSON.stringify(hostOf(occasion.plan.prefill.url))
  const decode = (answer: Uint8Array): readonly Edit[] => {
    const given = paramsIn(answer)
    if (given === null) return []
    const edited = editBody(given, scanTop(given), [{ kind: 'set', key: 'remote_host', value: host }])
    return [{ kind: 'set', key: PARAMS, value: new TextDecoder().decode(join(edited)) }]
  }
  return { ...nixl(occasion), decode }
}

/** A store that both share (LMCache): nothing of it is in the requests. */
export function plain(occasion: Occasion): Form {
  const { call } = occasion.admitted
  const prefill = call.body.kind === 'json' ? oneToken(call.shape, call.body.top, false) : []
  return { ...base(occasion), prefill, decode: () => [] }
}

/** P2P/NCCL: both legs go by one id that names both engines. */
export function p2p(occasion: Occasion): Form {
  return { ids: pairIds(occasion), prefill: cap(occasion), decode: () => [] }
}

function pairIds(occasion: Occasion): HeaderList {
  const { plan, core } = occasion
  const id = `___prefill_addr_${addressOf(plan.prefill)}___decode_addr_${addressOf(plan.worker)}_${hex(core.host.random, 32)}`
  const ids = base(occasion).ids
  return ['x-request-id', id, ...(ids[0] === 'x-request-id' ? [] : ids)]
}

/** Both at once, as DLRouter asks: whichever connector the engines have finds what it needs. */
export function nixlP2p(occasion: Occasion): Form {
  const asked = params({ ...ASK_KV, aborted_request: [] })
  return { ...nixl(occasion), ids: p2p(occasion).ids, prefill: [...cap(occasion), asked] }
}

/** Mooncake: a transfer with a name, fetched by way of the prefill engine's bootstrap server. */
export function mooncake(occasion: Occasion): Form {
  const draw = occasion.core.host.random
  const uuid = [8, 4, 4, 4, 12].map((length) => hex(draw, length)).join('-')
  return transfer(occasion, `xfer-${uuid}`, {})
}

/** MoRI-IO (READ): as Mooncake, with the sizes of the prefill engine; what its answer tells goes on. */
export function moriio(occasion: Occasion): Form {
  const { dpSize = 1, tpSize = 1 } = occasion.plan.prefill.transfer ?? {}
  const sizes = { remote_dp_size: dpSize, tp_size: tpSize }
  return transfer(occasion, `tx-${hex(occasion.core.host.random, 32)}`, sizes)
}

function transfer(occasion: Occasion, id: string, more: object): Form {
  const { plan } = occasion
  const home = `http://${hostOf(plan.prefill.url)}:${plan.prefill.bootstrapPort ?? BOOTSTRAP_PORT}`
  let engine = ''
  return {
    ...base(occasion),
    prefill: [
      ...cap(occasion),
      params({ do_remote_decode: true, do_remote_prefill: false, transfer_id: id }),
    ],
    async before() {
      engine = await engineId(occasion, home)
    },
    decode: (answer) => [
      params({
        ...(readParams(answer) as object | null),
        do_remote_decode: false,
        do_remote_prefill: true,
        transfer_id: id,
        remote_bootstrap_addr: home,
        remote_engine_id: engine,
        ...more,
      }),
    ],
  }
}

/** The prefill engine's name for itself: asked once, and again after it failed. */
async function engineId({ core, plan }: Occasion, home: string): Promise<string> {
  const { prefill } = plan
  const known = core.links.engines.get(prefill.id)
  if (known !== undefined) return known
  const bootstrap: WorkerRef = { ...prefill, url: home }
  const reply = await askWorker(core.host, bootstrap, { method: 'GET', path: '/query', timeout: ASK_TIMEOUT })
  const found = reply.status === 200 ? engineIn(reply.text, prefill.rank ?? 0) : null
  if (found === null)
    throw new UpstreamFailure('connect', 'the bootstrap server tells no engine id', 'prefill')
  core.links.engines.set(prefill.id, found)
  return found
}

function engineIn(text: string, rank: number): string | null {
  try {
    const ranks = JSON.parse(text) as Record<string, { engine_id?: unknown }>
    const id = (ranks[String(rank)] ?? Object.values(ranks)[0])?.engine_id
    return typeof id === 'string' ? id : null
  } catch {
    // No JSON: no bootstrap server of this kind.
    return null
  }
}

/** Engines know calls by the request's id: one that is sent again has another. */
function base({ admitted, plan }: Occasion): { ids: HeaderList } {
  const { ids } = admitted.call
  if (plan.attempt === 1) return { ids }
  return { ids: ids.map((text, i) => (i % 2 === 1 ? `${text}-${plan.attempt}` : text)) }
}

function cap({ admitted }: Occasion): Edit[] {
  const { shape, body } = admitted.call
  return body.kind === 'json' ? oneToken(shape, body.top) : []
}

function handedOn(answer: Uint8Array): readonly Edit[] {
  const given = paramsIn(answer)
  return given === null ? [] : [{ kind: 'set', key: PARAMS, value: new TextDecoder().decode(given) }]
}

/** The very bytes of the answer's transfer parameters; null when it has none. */
function paramsIn(answer: Uint8Array): Uint8Array | null {
  const top = scanTop(answer)
  const span = top.kind(PARAMS) === 'object' ? top.span(PARAMS) : null
  return span && answer.subarray(span.start, span.end)
}

const readParams = (answer: Uint8Array): unknown => {
  const given = paramsIn(answer)
  return given && JSON.parse(new TextDecoder().decode(given))
}

/** Where an engine's connector is met: as it registered, else the host and port of its URL. */
const addressOf = ({ url, kvAddress }: WorkerRef): string =>
  kvAddress ?? (URL.canParse(url) ? hostAndPort(new URL(url)) : url)

const hostAndPort = (url: URL): string =>
  url.port === '' ? `${url.hostname}:${url.protocol === 'https:' ? 443 : 80}` : url.host

function hex(draw: () => number, length: number): string {
  let text = ''
  while (text.length < length)
    text += Math.floor(draw() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')
  return text.slice(0, length)
}
