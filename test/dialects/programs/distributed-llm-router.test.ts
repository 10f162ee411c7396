// Each variable of Distributed-LLM-Router, and each flag of uvicorn, has an effect that somebody sees, or is known to have none.
import { distributedLlmRouter } from '../../../src/dialects/distributed-llm-router/index.ts'
import { processes, variables } from './_distributed.ts'
import { testProgram } from './_row.ts'

const VARIABLES = `VLLM_NODES ROUTING_STRATEGY NODE_TIMEOUT_SECONDS CONNECT_TIMEOUT_SECONDS MAX_RETRIES
  HEALTH_CHECK_INTERVAL_SECONDS HEALTH_FAILURE_THRESHOLD GATEWAY_PORT AUTH_TOKEN LOG_LEVEL MODEL_NAME
  MAX_CONCURRENT_REQUESTS MAX_QUEUE_SIZE`.split(/\s+/)
const flags = distributedLlmRouter.flags([])

testProgram('distributed-llm-router', {
  rows: [...variables, ...processes],
  names: [...flags.flatMap(({ names }) => names), ...VARIABLES],
  without: Object.fromEntries(
    flags.flatMap(({ names, inert }) => (inert === undefined ? [] : names.map((name) => [name, inert]))),
  ),
})
