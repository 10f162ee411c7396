// Replays a trace under each of several policies and seeds.
import type { Config } from '../config/schema.ts'
import { arrivalsOf } from './arrivals.ts'
import { figuresOf, meanFigures, type Figures, type Run } from './figures.ts'
import { oracle } from './oracle.ts'
import type { ReplayOptions } from './options.ts'
import { warmed } from './pathologies.ts'
import { Simulation } from './simulation.ts'
import type { Trace } from './trace.ts'

/** The name of the yardstick among the policies. */
export const ORACLE = 'oracle'

/** One policy's figures, and its run with the first seed for plots. */
export interface Replayed {
  readonly figures: Figures
  readonly run: Run
  /** Figures of each seed. */
  readonly seeds: readonly Figures[]
}

/**
 * Replays a trace under one policy, once for each seed.
 * @param config of the pool; its policy counts unless `policy` is the oracle
 */
export async function replay(
  trace: Trace,
  options: ReplayOptions,
  how: { policy: string; config: Config; seeds: readonly number[] },
): Promise<Replayed> {
  const { policy, config, seeds } = how
  const runs: Run[] = []
  for (const seed of seeds) {
    const arrivals = warmed(arrivalsOf(trace.requests, { speed: options.speed, seed }), options)
    const make = policy === ORACLE ? oracle : () => null
    runs.push(await new Simulation(arrivals, { ...options, seed }, { config, make }).run())
  }
  const all = runs.map((run) => figuresOf(policy, run))
  return { figures: meanFigures(all), run: runs[0] as Run, seeds: all }
}
