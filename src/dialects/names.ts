// The names of the dialects, apart from the dialects themselves: the configuration needs no more of them.

/** As in `fetchway as NAME` and the key `dialect`. */
export const dialectNames = [
  'sglang-router',
  'sglang-launch-server',
  'vllm-router',
  'dlrouter',
  'distributed-llm-router',
  'lmdeploy-proxy',
  'production-stack',
] as const
export type DialectName = (typeof dialectNames)[number]
