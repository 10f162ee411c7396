// Endpoints about the engine itself: models, tokens, health, load, cache, sleep, adapters.
import { empty, json, readBody, readOptionalBody, text, type Exchange, type Handler } from './exchange.ts'
import { sglangKvEvents } from './kv-feed.ts'
import { missingField, stringField } from './fields.ts'
import { readPrompts } from './completions.ts'
import { BOOTSTRAP_PORT } from './handover-bootstrap.ts'
import { readChat, renderChat } from './prompt.ts'
import { EngineRefusal } from './refusal.ts'
import { decode } from './tokenizer.ts'

export const ok: Handler = () => empty()

/** SGLang's deep check makes a token, so a stalled scheduler would fail it; ours is never stalled. */
export const healthy: Handler = () => json({ status: 'healthy', message: '' })

export const models: Handler = ({ sim }) => {
  const { engine } = sim.options
  const card = (id: string, parent: string | null) => ({
    id,
    object: 'model',
    created: Math.floor(sim.startedAt / 1000),
    owned_by: engine,
    root: parent === null ? id : `/adapters/${id}`,
    parent,
    ...(engine === 'lmdeploy' ? {} : { max_model_len: parent === null ? sim.limits.maxModelLength : null }),
    ...(engine === 'sglang' ? {} : { permission: [permission(sim.hex(), Math.floor(sim.startedAt / 1000))] }),
  })
  const served = sim.models.map((id) => card(id, null))
  const adapters = [...sim.adapters].map((id) => card(id, sim.models[0] as string))
  return json({ object: 'list', data: [...served, ...adapters] })
}

const permission = (id: string, created: number) => ({
  id: `modelperm-${id}`,
  object: 'model_permission',
  created,
  allow_create_engine: false,
  allow_sampling: true,
  allow_logprobs: true,
  allow_search_indices: false,
  allow_view: true,
  allow_fine_tuning: false,
  organization: '*',
  group: null,
  is_blocking: false,
})

/** vLLM's and SGLang's /tokenize: a prompt, or messages. */
export const tokenize: Handler = (exchange) => {
  const body = readBody(exchange)
  exchange.sim.modelFor(stringField(body, 'model'))
  if (!('prompt' in body) && !('messages' in body)) throw missingField(body, 'prompt')
  const prompts = 'messages' in body ? [renderChat(readChat(body))] : readPrompts(body['prompt'])
  const lists = prompts.map((prompt) => [...prompt.tokens])
  const first = lists[0] as number[]
  const one = !Array.isArray(body['prompt'])
  const max = exchange.sim.limits.maxModelLength
  if (exchange.sim.options.engine === 'vllm') {
    const strings = body['return_token_strs'] === true ? first.map((id) => decode([id])) : null
    return json({ count: first.length, max_model_len: max, tokens: first, token_strs: strings })
  }
  const counts = lists.map((list) => list.length)
  return json({ tokens: one ? first : lists, count: one ? first.length : counts, max_model_len: max })
}

export const detokenize: Handler = (exchange) => {
  const body = readBody(exchange)
  exchange.sim.modelFor(stringField(body, 'model'))
  const ids = Array.isArray(body['tokens']) ? body['tokens'].filter((id) => typeof id === 'number') : null
  if (ids === null) throw missingField(body, 'tokens')
  return json(exchange.sim.options.engine === 'vllm' ? { prompt: decode(ids) } : { text: decode(ids) })
}

/** LMDeploy's /v1/encode. */
export const encodeInput: Handler = (exchange) => {
  const body = readBody(exchange)
  const lists = readPrompts(body['input']).map((prompt) => [...prompt.tokens])
  if (!Array.isArray(body['input'])) return json({ input_ids: lists[0], length: lists[0]?.length })
  return json({ input_ids: lists, length: lists.map((list) => list.length) })
}

export const vllmLoad: Handler = ({ sim }) => json({ server_load: sim.serving })

const sglangLoads = ({ sim }: Exchange) =>
  sim.scheduler.all.map(({ running, waiting, totals, backlog, cache }, rank) => {
    const used = cache.held * sim.limits.blockTokens
    const capacity = sim.limits.blocks * sim.limits.blockTokens
    return {
      dp_rank: rank,
      num_running_reqs: running,
      num_waiting_reqs: waiting,
      num_waiting_uncached_tokens: backlog,
      num_used_tokens: used,
      num_total_tokens: used + backlog,
      max_total_num_tokens: capacity,
      max_running_requests: sim.limits.maxSequences,
      token_usage: used / capacity,
      gen_throughput: totals.gapMs === 0 ? 0 : (totals.gaps / totals.gapMs) * 1000,
      cache_hit_rate: totals.promptTokens === 0 ? 0 : totals.cachedTokens / totals.promptTokens,
      utilization: running / sim.limits.maxSequences,
    }
  })

/** SGLang's older /get_load. */
export const getLoad: Handler = (exchange) =>
  json(
    sglangLoads(exchange).map(({ dp_rank, num_running_reqs, num_waiting_reqs, num_used_tokens }) => ({
      dp_rank,
      num_reqs: num_running_reqs + num_waiting_reqs,
      num_waiting_reqs,
      num_tokens: num_used_tokens,
    })),
  )

type RankLoad = ReturnType<typeof sglangLoads>[number]

/** SGLang's /v1/loads, as JSON or as samples. */
export const loads: Handler = (exchange) => {
  const ranks = sglangLoads(exchange)
  if (exchange.url.searchParams.get('format') === 'prometheus') {
    const names = Object.keys(ranks[0] ?? {}).filter((name) => name !== 'dp_rank') as (keyof RankLoad)[]
    const lines = names.flatMap((name) => [
      `# TYPE sglang_${name} gauge`,
      ...ranks.map((load) => `sglang_${name}{dp_rank="${load.dp_rank}"} ${load[name]}`),
    ])
    return text(`${lines.join('\n')}\n`, 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
  }
  const timestamp = new Date(exchange.sim.clock.now()).toISOString()
  return json({
    timestamp,
    version: SGLANG_VERSION,
    accelerator: 'simulated',
    num_accelerators: ranks.length,
    loads: ranks,
  })
}

const SGLANG_VERSION = '0.5.23'

export const sglangServerInfo: Handler = (exchange) => {
  const { sim } = exchange
  const role = sim.options.role ?? 'mixed'
  return json({
    model_path: sim.models[0],
    served_model_name: sim.models[0],
    tokenizer_path: sim.models[0],
    tp_size: 1,
    dp_size: sim.scheduler.all.length,
    page_size: sim.limits.blockTokens,
    context_length: sim.limits.maxModelLength,
    disaggregation_mode: role === 'mixed' ? 'null' : role,
    disaggregation_bootstrap_port: sim.options.bootstrapPort ?? BOOTSTRAP_PORT,
    max_running_requests: sim.limits.maxSequences,
    max_total_num_tokens: sim.limits.blocks * sim.limits.blockTokens,
    max_req_input_len: sim.limits.maxModelLength - 1,
    status: 'ready',
    internal_states: sglangLoads(exchange),
    kv_events: sglangKvEvents(exchange),
    version: SGLANG_VERSION,
  })
}

export const sglangModelInfo: Handler = ({ sim }) =>
  json({
    model_path: sim.models[0],
    tokenizer_path: sim.models[0],
    is_generation: true,
    preferred_sampling_params: null,
    weight_version: 'default',
    model_type: 'qwen2',
    architectures: ['Qwen2ForCausalLM'],
  })

export const vllmServerInfo: Handler = ({ sim }) =>
  json({
    vllm_config: {
      model_config: {
        model: sim.models[0],
        served_model_name: sim.models[0],
        max_model_len: sim.limits.maxModelLength,
      },
      cache_config: { block_size: sim.limits.blockTokens, num_gpu_blocks: sim.limits.blocks },
      parallel_config: { tensor_parallel_size: 1, data_parallel_size: sim.scheduler.all.length },
    },
    vllm_env: {},
    system_env: {},
  })

/** SGLang flushes only when nothing runs. */
export const flushCache: Handler = ({ sim }) => {
  const isIdle = sim.scheduler.running + sim.scheduler.waiting === 0
  if (isIdle) sim.scheduler.clear()
  const note =
    'Please check backend logs for more details. (When there are running or waiting requests, the operation will not be performed.)'
  return text(`Cache flushed.\n${note}\n`, isIdle ? 200 : 400)
}

export const resetPrefixCache: Handler = ({ sim }) => {
  sim.scheduler.clear()
  return json({ success: true })
}

export const sleep: Handler = ({ sim, url }) => {
  sim.isSleeping = true
  sim.scheduler.clear()
  sim.scheduler.pause(true)
  if (sim.options.engine !== 'vllm') return empty()
  return json({ status: 'sleeping', level: Number(url.searchParams.get('level') ?? 1) })
}

export const wakeUp: Handler = ({ sim, url }) => {
  sim.isSleeping = false
  sim.scheduler.pause(sim.isPaused)
  if (sim.options.engine !== 'vllm') return empty()
  const tags = url.searchParams.getAll('tags')
  return json({ status: 'awake', tags: tags.length > 0 ? tags : null })
}

export const isSleeping: Handler = ({ sim }) => json({ is_sleeping: sim.isSleeping })

export const pause: Handler = ({ sim }) => {
  sim.isPaused = true
  sim.scheduler.pause(true)
  return json({ status: 'paused' })
}

export const resume: Handler = ({ sim }) => {
  sim.isPaused = false
  sim.scheduler.pause(sim.isSleeping)
  return json({ status: 'resumed' })
}

export const isPaused: Handler = ({ sim }) => json({ is_paused: sim.isPaused })

export const loadAdapter: Handler = (exchange) => {
  const { sim } = exchange
  const body = readOptionalBody(exchange)
  const name = stringField(body, 'lora_name')
  const path = stringField(body, 'lora_path')
  if (name === null || path === null) {
    throw new EngineRefusal('bad_request', "Both 'lora_name' and 'lora_path' must be provided.", {
      type: 'InvalidUserInput',
    })
  }
  if (sim.options.engine === 'vllm' && sim.adapters.has(name)) {
    const message = `The lora adapter '${name}' has already been loaded. If you want to load the adapter in place, set 'load_inplace' to True.`
    throw new EngineRefusal('bad_request', message, { type: 'InvalidUserInput' })
  }
  sim.adapters.add(name)
  if (sim.options.engine === 'vllm') return bare(`Success: LoRA adapter '${name}' added successfully.`)
  return json({ success: true, error_message: '', loaded_adapters: adapterPaths(exchange) })
}

export const unloadAdapter: Handler = (exchange) => {
  const { sim } = exchange
  const name = stringField(readOptionalBody(exchange), 'lora_name') ?? ''
  if (!sim.adapters.delete(name)) {
    throw new EngineRefusal('not_found', `The lora adapter '${name}' cannot be found.`)
  }
  if (sim.options.engine === 'vllm') return bare(`Success: LoRA adapter '${name}' removed successfully.`)
  return json({ success: true, error_message: '', loaded_adapters: adapterPaths(exchange) })
}

/** A text without a content type, as vLLM sends it. */
function bare(note: string): Response {
  const response = text(note)
  response.headers.delete('content-type')
  return response
}

const adapterPaths = ({ sim }: Exchange) =>
  Object.fromEntries([...sim.adapters].map((name) => [name, `/adapters/${name}`]))
