// How dialects answer, apart from their command lines: a runtime without one does not carry the tables of flags.
import type { Surface } from './dialect.ts'
import type { DialectName } from './names.ts'

type MakeSurface = (options: Readonly<Record<string, unknown>>) => Surface

/** Name → how to load its surface. A dialect has one line here and one in index.ts. */
const surfaces: Readonly<Partial<Record<DialectName, () => Promise<MakeSurface>>>> = {
  'sglang-router': async () => (await import('./sglang-router/surface.ts')).surface,
  'sglang-launch-server': async () => (await import('./sglang-router/surface.ts')).surface,
  'vllm-router': async () => (await import('./vllm-router/surface.ts')).surface,
  dlrouter: async () => (await import('./dlrouter/surface.ts')).surface,
  'lmdeploy-proxy': async () => (await import('./lmdeploy-proxy/surface.ts')).surface,
  'production-stack': async () => (await import('./production-stack/surface.ts')).surface,
  'distributed-llm-router': async () => (await import('./distributed-llm-router/surface.ts')).surface,
}

/** Loads how a dialect answers; null when there is none of that name (yet). */
export async function loadSurface(name: string): Promise<MakeSurface | null> {
  const load = Object.hasOwn(surfaces, name) ? surfaces[name as DialectName] : undefined
  return load ? load() : null
}
