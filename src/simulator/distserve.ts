// LMDeploy's /distserve endpoints: how a prefill and a decode engine are introduced to each other.
import { json, readBody, type Handler } from './exchange.ts'
import { stringField } from './fields.ts'

/** The configuration, as a JSON string inside JSON: the real server encodes it twice. */
export const engineInfo: Handler = ({ sim }) =>
  json(
    JSON.stringify({
      tp_size: 1,
      ep_size: 1,
      dp_size: 1,
      pp_size: null,
      dp_rank: 0,
      block_size: sim.limits.blockTokens,
      num_cpu_blocks: 0,
      num_gpu_blocks: sim.limits.blocks,
    }),
  )

export const initialize: Handler = (exchange) => {
  const body = readBody(exchange)
  const endpoint = {
    protocol: body['protocol'] ?? 2,
    endpoint_info: JSON.stringify({ id: exchange.sim.engineId }),
  }
  return json({
    status: 1,
    engine_endpoint_info: { zmq_address: `tcp://${exchange.url.hostname}:26001` },
    kvtransfer_endpoint_info: [endpoint],
  })
}

export const connect: Handler = (exchange) => {
  const remote = stringField(readBody(exchange), 'remote_engine_id')
  if (remote !== null) exchange.sim.links.add(remote)
  return json({ status: 1 })
}

export const dropConnect: Handler = (exchange) => {
  exchange.sim.links.delete(stringField(readBody(exchange), 'remote_engine_id') ?? '')
  return json({ success: true })
}

export const freeCache: Handler = (exchange) => {
  exchange.sim.offers.get(String(readBody(exchange)['remote_session_id']))?.end('freed')
  return json({ status: 'SUCCESS' })
}
