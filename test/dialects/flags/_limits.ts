// Flags of limits and deadlines, by what clients get.
import { W1 } from '../../journeys/_rig.ts'
import { callsOf } from '../../journeys/_rig.ts'
import { ONE, send, soFar, type Row, type Speaker } from './_flag.ts'

/** Calls at once to one engine that answers late, and their statuses. */
async function crowd(line: string, { open, engine }: Speaker, calls: number): Promise<number[]> {
  const router = await open(`${ONE} ${line}`, { [W1]: engine({ fault: 'delay=20ms' }) })
  const replies = await Promise.all(Array.from({ length: calls }, () => send(router)))
  return replies.map(({ status }) => status)
}

const STALLED = 'stall-before-head'

/** One place, taken by a call that never ends, and one that waits for it: what that gets within a time. */
async function waiter(
  line: string,
  { open, engine }: Speaker,
  ms: number,
): Promise<[number | string, number]> {
  const worker = engine({ fault: STALLED })
  const router = await open(
    `${ONE} --max-concurrent-requests 1 ${line}`,
    { [W1]: worker },
    { movesClock: true },
  )
  send(router).catch(() => undefined)
  await router.pass(0)
  const second = send(router)
  await router.pass(ms)
  return [await soFar(second), callsOf(worker).length]
}

export const limits: readonly Row[] = [
  {
    flag: '--max-concurrent-requests',
    cases: [
      ['--max-concurrent-requests 1', [200, 429, 429]],
      ['--max-concurrent-requests 2', [200, 200, 429]],
      ['--max-concurrent-requests -1', [200, 200, 200]],
    ],
    see: (line, speaker) => crowd(`--queue-size 0 ${line}`, speaker, 3),
  },
  {
    flag: '--queue-size',
    cases: [
      ['--queue-size 0', [200, 429, 429]],
      ['--queue-size 1', [200, 200, 429]],
      ['', [200, 200, 200]],
    ],
    see: (line, speaker) => crowd(`--max-concurrent-requests 1 ${line}`, speaker, 3),
  },
  {
    flag: '--queue-timeout-secs',
    cases: [
      ['--queue-timeout-secs 1', [408, 1]],
      ['--queue-timeout-secs 9', ['waiting', 1]],
    ],
    see: (line, speaker) => waiter(line, speaker, 2000),
  },
  {
    flag: '--rate-limit-tokens-per-second',
    cases: [
      ['', ['waiting', 1]],
      ['--rate-limit-tokens-per-second 1', ['waiting', 2]],
    ],
    see: (line, speaker) => waiter(line, speaker, 1500),
  },
  {
    flag: '--max-payload-size',
    cases: [
      ['--max-payload-size 500', [413, 'length limit exceeded']],
      ['--max-payload-size 5000', [200, 'ok']],
    ],
    async see(line, { open, engine }) {
      const router = await open(`${ONE} ${line}`, { [W1]: engine() })
      const { status, text } = await send(router, { user: 'x'.repeat(1000) })
      return [status, status === 200 ? 'ok' : text]
    },
  },
  {
    flag: '--request-timeout-secs',
    cases: [
      ['--request-timeout-secs 2', true],
      ['--request-timeout-secs 20', false],
    ],
    async see(line, { open, engine }) {
      const router = await open(`${ONE} ${line}`, { [W1]: engine({ fault: STALLED }) }, { movesClock: true })
      const reply = send(router)
      await router.pass(3000)
      return Number(await soFar(reply)) >= 500
    },
  },
]
