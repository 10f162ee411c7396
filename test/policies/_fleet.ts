// Candidates, senses and choosers for the tests of policies.
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { chooserOf, policyOf, type Candidate, type PoolSense } from '../../src/policies/policy.ts'
import type { Ask } from '../../src/actors/ask.ts'
import { ask } from '../actors/_pool.ts'

export const worker = (id: string, change: Partial<Candidate> = {}): Candidate => ({
  id,
  url: `http://${id}`,
  weight: 1,
  inFlight: 0,
  backlogTokens: 0,
  latency: 0,
  recent: [],
  lastTurn: 0,
  role: 'mixed',
  engine: 'vllm',
  speed: 20_000,
  heldTokens: 0,
  capacityTokens: 400_000,
  reportedRunning: -1,
  reportedWaiting: -1,
  foreignCalls: 0,
  foreignTokens: 0,
  joinedAt: 0,
  hasLoaded: () => true,
  ...change,
})

export const fleet = (count: number, change: Partial<Candidate> = {}): Candidate[] =>
  Array.from({ length: count }, (_, index) => worker(`w-${index}`, change))

export const seeded = (seed: number) => () => (seed = (seed * 16807) % 2147483647) / 2147483647

/** What a pool would tell: matches and tree sizes in tokens by worker id, of a prompt of 100 tokens. */
export interface Told {
  readonly now?: number
  readonly random?: () => number
  readonly promptTokens?: number
  readonly matches?: Readonly<Record<string, number>>
  readonly trees?: Readonly<Record<string, number>>
  readonly isDry?: boolean
}

export const sense = ({
  now = 0,
  random = seeded(7),
  promptTokens = 100,
  matches = {},
  trees = {},
  isDry = false,
}: Told): PoolSense => ({
  now,
  random,
  promptTokens,
  match: (id) => matches[id] ?? 0,
  bestMatch: Math.max(0, ...Object.values(matches)),
  popularity: 0,
  nominalSpeed: 20_000,
  treeTokens: (id) => trees[id] ?? 0,
  bytesPerToken: 4,
  isDry,
})

const defaults = configSchema.parse({})

/** A policy as a pool would hold it: asked again and again, it remembers. Answers the id of the chosen one. */
export function chooser(name: string, options?: ConfigInput) {
  const config = options === undefined ? defaults : configSchema.parse(options)
  const choose = chooserOf(policyOf(name), config)
  return (candidates: readonly Candidate[], change: Partial<Ask> = {}, told: Told = {}): string =>
    (candidates[choose(ask(change), candidates, sense(told))] as Candidate).id
}
