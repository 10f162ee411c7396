// Flags of start-up, metrics and of what is asked of workers, by what is seen of them.
import { callsOf, W1 } from '../../journeys/_rig.ts'
import { translated } from '../_translate.ts'
import { ONE, send, soFar, type Row, type Speaker } from './_flag.ts'

/** A worker that is dead is added: how often it is asked in 20 s, and what comes of it then. */
async function late(line: string, { open, engine }: Speaker): Promise<{ asked: number; status: unknown }> {
  const worker = engine()
  worker.kill()
  let asked = 0
  const counting = { fetch: (request: Request) => (asked++, worker.fetch(request)) }
  const router = await open(line, { [W1]: counting }, { movesClock: true })
  const added = router.ask(`/add_worker?url=${W1}`, { method: 'POST' })
  await router.pass(20_000)
  return { asked, status: await soFar(added) }
}

/** Spans of two calls that each of two collectors gets. */
async function spans(line: string, { open, engine }: Speaker): Promise<number[]> {
  const got = [0, 0]
  const collector = (index: number) => ({
    async fetch(request: Request) {
      const { resourceSpans } = (await request.json()) as { resourceSpans: { scopeSpans: { spans: [] }[] }[] }
      got[index]! += resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((one) => one.spans)).length
      return Response.json({})
    },
  })
  const fleet = { [W1]: engine(), 'http://one:4318': collector(0), 'http://two:4318': collector(1) }
  const router = await open(`${ONE} ${line}`, fleet, { movesClock: true })
  await send(router)
  await router.ask('/v1/completions', { body: { model: 'm', prompt: 'a', max_tokens: 1 } })
  await router.pass(5000)
  return got
}

const TRACED = '--enable-trace --otlp-traces-endpoint one:4317'

export const telling: readonly Row[] = [
  {
    flag: '--enable-trace',
    cases: [
      ['', [0, 0]],
      ['--enable-trace', [2, 0]],
    ],
    see: (line, speaker) => spans(`--otlp-traces-endpoint one:4317 ${line}`, speaker),
  },
  {
    flag: '--otlp-traces-endpoint',
    cases: [
      ['--otlp-traces-endpoint http://one:4318', [2, 0]],
      ['--otlp-traces-endpoint two:4317', [0, 2]],
    ],
    see: (line, speaker) => spans(`--enable-trace ${line}`, speaker),
  },
  {
    flag: '--otel-sampling-ratio',
    of: 'vllm',
    cases: [
      ['--otel-sampling-ratio 1', [2, 0]],
      ['--otel-sampling-ratio 0', [0, 0]],
    ],
    see: (line, speaker) => spans(`${TRACED} ${line}`, speaker),
  },
  {
    flag: '--otel-excluded-paths',
    of: 'vllm',
    cases: [
      ['', [2, 0]],
      ['--otel-excluded-paths /v1/completions', [1, 0]],
    ],
    see: (line, speaker) => spans(`${TRACED} ${line}`, speaker),
  },
  {
    flag: '--epd-config',
    of: 'vllm',
    cases: [
      ['--epd-config encoders.json', []],
      ['--epd-config nowhere.json', ['--epd-config: there is no file nowhere.json']],
    ],
    // Prefill workers encode in place of those that the file names; one that is not there ends the start.
    see: async (line, { dialect }) => (await translated(dialect, line)).problems,
  },
  {
    flag: '--worker-startup-timeout-secs',
    cases: [
      ['--worker-startup-timeout-secs 10', 400],
      ['--worker-startup-timeout-secs 100', 'waiting'],
    ],
    see: async (line, speaker) => (await late(line, speaker)).status,
  },
  {
    flag: '--worker-startup-check-interval',
    cases: [
      ['--worker-startup-check-interval 1', true],
      ['--worker-startup-check-interval 10', false],
    ],
    see: async (line, speaker) => (await late(line, speaker)).asked > 15,
  },
  {
    flag: '--prometheus-duration-buckets',
    of: 'sglang',
    cases: [
      ['--prometheus-duration-buckets 0.5 60', ['0.5', '60', '+Inf']],
      ['--prometheus-duration-buckets 7', ['7', '+Inf']],
    ],
    async see(line, { open, engine }) {
      const router = await open(`${ONE} ${line}`, { [W1]: engine() })
      await send(router)
      const buckets = (await router.metrics()).matchAll(
        /^smg_router_request_duration_seconds_bucket\{.*le="(.*?)"\}/gm,
      )
      return [...buckets].map(([, bound]) => bound)
    },
  },
  {
    flag: '--backend',
    cases: [
      ['', true],
      ['--backend openai', false],
    ],
    // Servers that are no engine have no /health, and are not asked for it.
    async see(line, { open, engine }) {
      const worker = engine()
      const router = await open(
        `${ONE} --health-check-interval-secs 5 ${line}`,
        { [W1]: worker },
        { isProbed: true, movesClock: true },
      )
      await router.pass(11_000)
      await send(router)
      if (callsOf(worker).every(({ method }) => method !== 'POST'))
        throw new Error('the call did not get there')
      return worker.seen().requests.some(({ path }) => path === '/health')
    },
  },
]
