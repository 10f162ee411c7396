// How dialects answer, apart from their command lines: a runtime without one does not carry the tables of flags.
import type { Surface } from './dialect.ts'
import { surface as distributedLlmRouter } from './distributed-llm-router/surface.ts'
import { surface as dlrouter } from './dlrouter/surface.ts'
import { surface as lmdeployProxy } from './lmdeploy-proxy/surface.ts'
import type { DialectName } from './names.ts'
import { surface as productionStack } from './production-stack/surface.ts'
import { surface as sglangRouter } from './sglang-router/surface.ts'
import { surface as vllmRouter } from './vllm-router/surface.ts'

/** Makes a surface of what `dialectOptions` says. */
export type MakeSurface = (options: Readonly<Record<string, unknown>>) => Surface

/** Name → how to make its surface. A dialect has one line here and one in index.ts. */
const surfaces: Readonly<Partial<Record<DialectName, MakeSurface>>> = {
  'sglang-router': sglangRouter,
  'sglang-launch-server': sglangRouter,
  'vllm-router': vllmRouter,
  dlrouter,
  'lmdeploy-proxy': lmdeployProxy,
  'production-stack': productionStack,
  'distributed-llm-router': distributedLlmRouter,
}

/** How a dialect answers; null when there is none of that name (yet). */
export const surfaceNamed = (name: string): MakeSurface | null =>
  Object.hasOwn(surfaces, name) ? (surfaces[name as DialectName] ?? null) : null
