// Flags of retries, breakers and probes, by what engines get.
import type { Engine } from '../../../src/simulator/engine.ts'
import { callsOf, W1 } from '../../journeys/_rig.ts'
import type { Besides, Rigged } from '../_rig.ts'
import { ONE, sample, send, type Row, type Speaker } from './_flag.ts'

const BROKEN = 'status=500'
const PROBED = { isProbed: true, movesClock: true } as const

/** Attempts that a call makes at one engine that always fails. */
async function attempts(line: string, { open, engine }: Speaker): Promise<number> {
  const worker = engine({ fault: BROKEN })
  const router = await open(`${ONE} --retry-initial-backoff-ms 1 ${line}`, { [W1]: worker })
  await send(router)
  return callsOf(worker).length
}

/** Milliseconds between the attempts of a call. */
async function pauses(line: string, { open, engine }: Speaker, random = 0): Promise<number[]> {
  const worker = engine({ fault: BROKEN })
  const times: number[] = []
  let router: Rigged | null = null
  const timed = {
    fetch(request: Request) {
      if (request.method === 'POST') times.push(router!.now())
      return worker.fetch(request)
    },
  }
  const more: Besides = { movesClock: true, lends: { random: () => random } }
  const rules = '--retry-initial-backoff-ms 100 --retry-backoff-multiplier 2 --retry-jitter-factor 0'
  router = await open(
    `${ONE} --retry-max-retries 4 --disable-circuit-breaker ${rules} ${line}`,
    { [W1]: timed },
    more,
  )
  send(router).catch(() => undefined)
  await router.pass(60_000)
  return times.slice(1).map((at, index) => Math.round(at - times[index]!))
}

/** Calls of `times` (in seconds) to an engine that fails: those that reach it. */
async function reaching(line: string, { open, engine }: Speaker, times: readonly number[]): Promise<number> {
  const worker = engine({ fault: BROKEN })
  const router = await open(`${ONE} --disable-retries ${line}`, { [W1]: worker }, { movesClock: true })
  for (const at of times) {
    await router.pass(Math.max(0, at * 1000 - router.now()))
    await send(router)
  }
  return callsOf(worker).length
}

/** An engine whose first call fails, which opens its breaker; later ones are well. */
async function opened(line: string, { open, engine }: Speaker): Promise<{ router: Rigged; worker: Engine }> {
  const worker = engine({ fault: `${BROKEN}; times=1` })
  const rules = '--disable-retries --cb-failure-threshold 1'
  const router = await open(`${ONE} ${rules} ${line}`, { [W1]: worker }, { movesClock: true })
  await send(router)
  return { router, worker }
}

const breakerState = async (router: Rigged, { kind }: Speaker): Promise<number | null> =>
  sample(await router.metrics(), `${kind === 'sglang' ? 'smg_worker' : 'vllm_router'}_cb_state{`)

/** Paths of the probes that one engine gets within 20 s. */
async function probes(line: string, { open, engine }: Speaker): Promise<string[]> {
  const worker = engine()
  const router = await open(`${ONE} ${line}`, { [W1]: worker }, PROBED)
  await router.pass(20_000)
  return worker
    .seen()
    .requests.filter(({ method, path }) => method === 'GET' && ['/health', '/ping'].includes(path))
    .map(({ path }) => path)
}

const readiness = async (router: Rigged): Promise<number> => (await router.ask('/readiness')).status

/** Readiness some seconds after the only engine died, and again after it came back. */
async function outage(
  line: string,
  { open, engine }: Speaker,
  [dead, back]: readonly [number, number],
): Promise<number[]> {
  const worker = engine()
  const router = await open(`${ONE} --health-check-interval-secs 10 ${line}`, { [W1]: worker }, PROBED)
  await router.pass(11_000)
  worker.kill()
  await router.pass(dead * 1000)
  const first = await readiness(router)
  worker.revive()
  await router.pass(back * 1000)
  return [first, await readiness(router)]
}

export const recovery: readonly Row[] = [
  {
    flag: '--retry-max-retries',
    cases: [
      ['--retry-max-retries 1', 1],
      ['--retry-max-retries 4', 4],
    ],
    see: attempts,
  },
  {
    flag: '--disable-retries',
    cases: [
      ['', 2],
      ['--disable-retries', 1],
    ],
    see: (line, speaker) => attempts(`--retry-max-retries 2 ${line}`, speaker),
  },
  {
    flag: '--retry-initial-backoff-ms',
    cases: [
      ['', [100, 200, 400]],
      ['--retry-initial-backoff-ms 7', [7, 14, 28]],
    ],
    see: pauses,
  },
  {
    flag: '--retry-backoff-multiplier',
    cases: [
      ['--retry-backoff-multiplier 1', [100, 100, 100]],
      ['--retry-backoff-multiplier 3', [100, 300, 900]],
    ],
    see: pauses,
  },
  {
    flag: '--retry-max-backoff-ms',
    cases: [
      ['', [100, 200, 400]],
      ['--retry-max-backoff-ms 150', [100, 150, 150]],
    ],
    see: pauses,
  },
  {
    flag: '--retry-jitter-factor',
    cases: [
      ['', [100, 200, 400]],
      ['--retry-jitter-factor 0.5', [50, 100, 200]],
    ],
    see: pauses,
  },
  {
    flag: '--cb-failure-threshold',
    cases: [
      ['--cb-failure-threshold 2', 2],
      ['--cb-failure-threshold 3', 3],
    ],
    see: (line, speaker) => reaching(line, speaker, [0, 1, 2, 3]),
  },
  {
    flag: '--disable-circuit-breaker',
    cases: [
      ['', 2],
      ['--disable-circuit-breaker', 4],
    ],
    see: (line, speaker) => reaching(`--cb-failure-threshold 2 ${line}`, speaker, [0, 1, 2, 3]),
  },
  {
    flag: '--cb-window-duration-secs',
    cases: [
      ['--cb-window-duration-secs 9', 2],
      ['--cb-window-duration-secs 2', 3],
    ],
    see: (line, speaker) => reaching(`--cb-failure-threshold 2 ${line}`, speaker, [0, 3, 6]),
  },
  {
    flag: '--cb-timeout-duration-secs',
    cases: [
      ['--cb-timeout-duration-secs 2', 200],
      ['--cb-timeout-duration-secs 9', 503],
    ],
    async see(line, speaker) {
      const { router } = await opened(line, speaker)
      await router.pass(3000)
      return (await send(router)).status
    },
  },
  {
    flag: '--cb-success-threshold',
    cases: [
      ['--cb-success-threshold 1', 0],
      ['--cb-success-threshold 3', 2],
    ],
    async see(line, speaker) {
      const { router } = await opened(`--cb-timeout-duration-secs 1 ${line}`, speaker)
      await router.pass(2000)
      await send(router)
      return breakerState(router, speaker)
    },
  },
  {
    flag: '--health-check-interval-secs',
    cases: [
      ['--health-check-interval-secs 5', true],
      ['--health-check-interval-secs 15', false],
    ],
    see: async (line, speaker) => (await probes(line, speaker)).length > 2,
  },
  {
    flag: '--health-check-endpoint',
    cases: [
      ['', '/health'],
      ['--health-check-endpoint /ping', '/ping'],
    ],
    see: async (line, speaker) => (await probes(`--health-check-interval-secs 5 ${line}`, speaker)).at(-1),
  },
  {
    flag: '--disable-health-check',
    of: 'sglang',
    cases: [
      ['', true],
      ['--disable-health-check', false],
    ],
    see: async (line, speaker) =>
      (await probes(`--health-check-interval-secs 5 ${line}`, speaker)).length > 0,
  },
  {
    flag: '--health-failure-threshold',
    cases: [
      ['--health-failure-threshold 1', 503],
      ['--health-failure-threshold 3', 200],
    ],
    see: async (line, speaker) => (await outage(line, speaker, [11, 0]))[0],
  },
  {
    flag: '--health-success-threshold',
    cases: [
      ['--health-success-threshold 1', [503, 200]],
      ['--health-success-threshold 3', [503, 503]],
    ],
    // One that is out is looked at each second.
    see: (line, speaker) => outage(`--health-failure-threshold 1 ${line}`, speaker, [11, 1.5]),
  },
  {
    flag: '--health-check-timeout-secs',
    cases: [
      ['--health-check-timeout-secs 1', 503],
      ['--health-check-timeout-secs 9', 200],
    ],
    async see(line, { open, engine }) {
      const worker = engine()
      let isSilent = false
      const mute = {
        fetch: (request: Request) =>
          isSilent && request.url.endsWith('/health')
            ? new Promise<Response>(() => {})
            : worker.fetch(request),
      }
      const rules = '--health-check-interval-secs 10 --health-failure-threshold 1'
      const router = await open(`${ONE} ${rules} ${line}`, { [W1]: mute }, PROBED)
      await router.pass(11_000)
      isSilent = true
      await router.pass(13_000)
      return readiness(router)
    },
  },
]
