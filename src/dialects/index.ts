// The dialects that there are, each loaded only when it is spoken.
import type { Dialect } from './dialect.ts'
import type { DialectName } from './names.ts'

/** Name → how to load it. Adding a dialect is its folder, its name, and one line here. */
export const dialects: Readonly<Partial<Record<DialectName, () => Promise<Dialect>>>> = {
  'sglang-router': async () => (await import('./sglang-router/index.ts')).sglangRouter,
  'sglang-launch-server': async () => (await import('./sglang-launch-server/index.ts')).sglangLaunchServer,
  'vllm-router': async () => (await import('./vllm-router/index.ts')).vllmRouter,
  dlrouter: async () => (await import('./dlrouter/index.ts')).dlrouter,
  'lmdeploy-proxy': async () => (await import('./lmdeploy-proxy/index.ts')).lmdeployProxy,
  'production-stack': async () => (await import('./production-stack/index.ts')).productionStack,
  'distributed-llm-router': async () =>
    (await import('./distributed-llm-router/index.ts')).distributedLlmRouter,
}

/** Loads a dialect by name; null when there is none of that name (yet). */
export async function loadDialect(name: string): Promise<Dialect | null> {
  const load = Object.hasOwn(dialects, name) ? dialects[name as DialectName] : undefined
  return load ? load() : null
}
