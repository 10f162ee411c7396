// Flags of policies, by which engines get the calls.
import type { Engine } from '../../../src/simulator/engine.ts'
import { settle } from '../../_clock.ts'
import { W1, W2 } from '../../journeys/_rig.ts'
import type { Besides, Rigged } from '../_rig.ts'
import { counts, saying, send, TWO, type Row, type Speaker } from './_flag.ts'

interface Two {
  readonly router: Rigged
  readonly engines: readonly [Engine, Engine]
}

async function two(line: string, { open, engine }: Speaker, more: Besides = {}): Promise<Two> {
  const engines = [engine(), engine()] as const
  const router = await open(`${TWO} ${line}`, { [W1]: engines[0], [W2]: engines[1] }, more)
  return { router, engines }
}

/** A text of that many characters that begins unlike those of other seeds. */
export function text(length: number, seed: number): string {
  let state = seed * 2654435761
  const letter = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return String.fromCharCode(97 + ((state >>> 16) % 26))
  }
  return Array.from({ length }, letter).join('')
}

/** A session in the words of that program. */
const session = ({ kind }: Speaker, id: string): Record<string, string> =>
  kind === 'sglang' ? { 'x-smg-routing-key': id } : { 'x-session-id': id }

const held = { 'x-fault': 'stall-before-head' }

/** A call that its engine never ends. */
async function hold(router: Rigged, engines: readonly Engine[], content: string): Promise<void> {
  const before = counts(...engines).reduce((sum, one) => sum + one, 0)
  send(router, saying(content), held).catch(() => undefined)
  while (counts(...engines).reduce((sum, one) => sum + one, 0) === before)
    await new Promise((resolve) => setImmediate(resolve))
}

/** Which of the two got the last call. */
function newest(before: readonly number[], engines: readonly Engine[]): number {
  return counts(...engines).findIndex((count, at) => count > before[at]!)
}

/** Sends one and tells who got it. */
async function placed(
  { router, engines }: Two,
  content: string,
  headers: Record<string, string> = {},
): Promise<number> {
  const before = counts(...engines)
  await send(router, saying(content), headers)
  return newest(before, engines)
}

/** What a policy goes by, as seen from outside. */
async function habits(line: string, speaker: Speaker): Promise<Record<string, string>> {
  let state = 7
  const random = () => (state = (state * 16807) % 2147483647) / 2147483647
  const rigged = () => two(line, speaker, { lends: { random } })
  const places = async (calls: readonly [string, Record<string, string>][]): Promise<number[]> => {
    const fleet = await rigged()
    const found: number[] = []
    for (const [content, headers] of calls) found.push(await placed(fleet, content, headers))
    return found
  }
  const eight = [1, 2, 3, 4, 5, 6, 7, 8]
  const kept = (found: readonly number[]) => (new Set(found).size === 1 ? 'kept' : 'spread')
  const other = await places(eight.map((seed) => [text(600, seed), {}]))
  const crowded = await rigged()
  await hold(crowded.router, crowded.engines, text(600, 50))
  const busy = newest([0, 0], crowded.engines)
  const after: number[] = []
  for (const seed of eight) after.push(await placed(crowded, text(600, 60 + seed)))
  return {
    prompt: kept(await places(eight.map(() => [text(600, 9), {}]))),
    session: kept(await places(eight.map((seed) => [text(600, seed), session(speaker, 's')]))),
    turns: other.every((at, index) => index === 0 || at !== other[index - 1]) ? 'strict' : 'none',
    busy: after.includes(busy) ? 'taken' : 'avoided',
  }
}

const policy = (name: string, prompt: string, kept: string, turns: string, busy: string) =>
  [`--policy ${name}`, { prompt, session: kept, turns, busy }] as const

/** Three prompts, and where the first goes when time has passed and others have come: a tree that was cut forgot it. */
async function afterEviction(line: string, speaker: Speaker): Promise<string> {
  const fleet = await two(`--policy cache_aware --cache-threshold 0.5 ${line}`, speaker, { movesClock: true })
  const first = await placed(fleet, text(2000, 1))
  await placed(fleet, text(3000, 2))
  await placed(fleet, text(5000, 3))
  await fleet.router.pass(10_000)
  for (const short of ['x', 'y']) await placed(fleet, short)
  return (await placed(fleet, text(2000, 1))) === first ? 'remembered' : 'forgotten'
}

export const policies: readonly Row[] = [
  {
    flag: '--policy',
    of: 'sglang',
    cases: [
      policy('random', 'spread', 'spread', 'none', 'taken'),
      policy('round_robin', 'spread', 'spread', 'strict', 'taken'),
      policy('cache_aware', 'kept', 'spread', 'strict', 'taken'),
      policy('power_of_two', 'spread', 'spread', 'strict', 'avoided'),
      policy('manual', 'spread', 'kept', 'none', 'taken'),
      policy('consistent_hashing', 'spread', 'kept', 'none', 'taken'),
      policy('prefix_hash', 'kept', 'spread', 'none', 'taken'),
    ],
    see: habits,
  },
  {
    flag: '--policy',
    of: 'vllm',
    cases: [
      policy('random', 'spread', 'spread', 'none', 'taken'),
      policy('round_robin', 'spread', 'spread', 'strict', 'taken'),
      policy('cache_aware', 'kept', 'spread', 'strict', 'avoided'),
      policy('power_of_two', 'spread', 'spread', 'strict', 'avoided'),
      policy('kv_aware', 'kept', 'spread', 'strict', 'avoided'),
      policy('consistent_hash', 'spread', 'kept', 'strict', 'avoided'),
      policy('sticky_least_loaded', 'kept', 'kept', 'none', 'taken'),
    ],
    see: habits,
  },
  {
    flag: '--cache-threshold',
    cases: [
      ['--cache-threshold 0.2', 'same'],
      ['--cache-threshold 0.9', 'other'],
    ],
    async see(line, speaker) {
      const fleet = await two(`--policy cache_aware ${line}`, speaker)
      const beginning = text(2400, 1)
      const first = await placed(fleet, beginning + text(1600, 2))
      return (await placed(fleet, beginning + text(1600, 3))) === first ? 'same' : 'other'
    },
  },
  {
    flag: '--balance-abs-threshold',
    cases: [
      ['--balance-abs-threshold 1', 'other'],
      ['--balance-abs-threshold 32', 'same'],
    ],
    async see(line, speaker) {
      const fleet = await two(`--policy cache_aware --cache-threshold 0.5 ${line}`, speaker)
      for (let i = 0; i < 2; i++) await hold(fleet.router, fleet.engines, text(600, 1))
      const full = counts(...fleet.engines).indexOf(2)
      return (await placed(fleet, text(600, 1))) === full ? 'same' : 'other'
    },
  },
  {
    flag: '--balance-rel-threshold',
    cases: [
      ['--balance-rel-threshold 2', 'other'],
      ['--balance-rel-threshold 5', 'same'],
    ],
    async see(line, speaker) {
      const rules = '--policy cache_aware --cache-threshold 0.5 --balance-abs-threshold 1'
      const fleet = await two(`${rules} ${line}`, speaker)
      for (const seed of [1, 2, 1, 1]) await hold(fleet.router, fleet.engines, text(600, seed))
      const full = counts(...fleet.engines).indexOf(3)
      return (await placed(fleet, text(600, 1))) === full ? 'same' : 'other'
    },
  },
  {
    flag: '--max-tree-size',
    cases: [
      ['--max-tree-size 4000', 'forgotten'],
      ['--max-tree-size 40000', 'remembered'],
    ],
    see: (line, speaker) => afterEviction(`--eviction-interval-secs 5 ${line}`, speaker),
  },
  {
    flag: '--eviction-interval-secs',
    cases: [
      ['--eviction-interval-secs 5', 'forgotten'],
      ['--eviction-interval-secs 60', 'remembered'],
    ],
    see: (line, speaker) => afterEviction(`--max-tree-size 4000 ${line}`, speaker),
  },
  {
    flag: '--max-idle-secs',
    of: 'sglang',
    cases: [
      ['--max-idle-secs 5', 'other'],
      ['--max-idle-secs 60', 'same'],
    ],
    async see(line, speaker) {
      let chance = 0
      const more = { movesClock: true, lends: { random: () => chance } }
      const fleet = await two(`--policy manual ${line}`, speaker, more)
      const first = await placed(fleet, 'a', session(speaker, 'k'))
      await fleet.router.pass(10_000)
      chance = 0.99
      return (await placed(fleet, 'a', session(speaker, 'k'))) === first ? 'same' : 'other'
    },
  },
  {
    flag: '--assignment-mode',
    of: 'sglang',
    cases: [
      ['--assignment-mode random', { idle: 'same', busy: 'same' }],
      ['--assignment-mode min_load', { idle: 'same', busy: 'other' }],
      ['--assignment-mode min_group', { idle: 'other', busy: 'other' }],
    ],
    async see(line, speaker) {
      const seen = async (headers: Record<string, string>): Promise<string> => {
        const fleet = await two(`--policy manual ${line}`, speaker, { lends: { random: () => 0 } })
        const asked = send(fleet.router, saying('a'), { ...session(speaker, 'k1'), ...headers })
        asked.catch(() => undefined)
        while (counts(...fleet.engines).every((count) => count === 0))
          await new Promise((resolve) => setImmediate(resolve))
        // One that is not held has ended when the next begins.
        if (headers['x-fault'] === undefined) await asked.then(settle)
        const first = newest([0, 0], fleet.engines)
        return (await placed(fleet, 'a', session(speaker, 'k2'))) === first ? 'same' : 'other'
      }
      return { idle: await seen({}), busy: await seen(held) }
    },
  },
  {
    flag: '--prefix-token-count',
    of: 'sglang',
    cases: [
      ['--prefix-token-count 256', 1],
      ['--prefix-token-count 1024', 2],
    ],
    async see(line, speaker) {
      const fleet = await two(`--policy prefix_hash ${line}`, speaker)
      const beginning = text(1600, 1)
      for (let seed = 2; seed < 12; seed++) await placed(fleet, beginning + text(3000, seed))
      return counts(...fleet.engines).filter((count) => count > 0).length
    },
  },
  {
    flag: '--prefix-hash-load-factor',
    of: 'sglang',
    cases: [
      ['--prefix-hash-load-factor 1', 2],
      ['--prefix-hash-load-factor 100', 1],
    ],
    async see(line, speaker) {
      const fleet = await two(`--policy prefix_hash ${line}`, speaker)
      for (let i = 0; i < 4; i++) await hold(fleet.router, fleet.engines, text(2000, 1))
      return counts(...fleet.engines).filter((count) => count > 0).length
    },
  },
  {
    flag: '--router-temperature',
    of: 'vllm',
    cases: [
      ['', 1],
      ['--router-temperature 50', 2],
    ],
    async see(line, speaker) {
      const fleet = await two(`--policy kv_aware ${line}`, speaker)
      for (let i = 0; i < 24; i++) await placed(fleet, text(2000, 1))
      return counts(...fleet.engines).filter((count) => count > 0).length
    },
  },
  {
    flag: '--kv-aware-session-affinity-ttl-secs',
    of: 'vllm',
    cases: [
      ['', ['other', 'other']],
      ['--kv-aware-session-affinity-ttl-secs 60', ['same', 'same']],
      ['--kv-aware-session-affinity-ttl-secs 5', ['same', 'other']],
    ],
    async see(line, speaker) {
      const fleet = await two(`--policy kv_aware ${line}`, speaker, { movesClock: true })
      const first = await placed(fleet, text(2000, 1), session(speaker, 's'))
      // The other one holds this.
      await placed(fleet, text(3000, 2))
      const second = await placed(fleet, text(3000, 2), session(speaker, 's'))
      await fleet.router.pass(10_000)
      const third = await placed(fleet, text(3000, 2), session(speaker, 's'))
      return [second, third].map((at) => (at === first ? 'same' : 'other'))
    },
  },
]
