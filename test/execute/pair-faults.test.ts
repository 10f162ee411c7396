// The fault table of prefill/decode: which leg fails, at what moment, on which engine, and what both engines saw of it.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ConfigInput } from '../../src/config/schema.ts'
import type { Engine } from '../../src/simulator/engine.ts'
import { D1, D2, fleetOf, MODES, P1, P2, workersOf } from '../journeys/_pairs.ts'
import { lived } from '../_lived.ts'
import { chat, CHAT, engine, eventually, Rig, saidIn } from '../journeys/_rig.ts'
import { open } from '../journeys/_web.ts'

type Protocol = 'sglang' | 'nixl' | 'distserve'
type Name = 'prefill' | 'decode'

/** A call as an engine got it: whether it is still open, as far as its engine is concerned. */
interface Held {
  readonly by: Engine
  readonly signal: AbortSignal
  isOver: boolean
}

interface Stage {
  readonly rig: Rig
  readonly fleet: Record<string, Engine>
  readonly protocol: Protocol
  readonly leg: Name
  /** The engine that fails, and the other one of the first pair. */
  readonly bad: Engine
  readonly mate: Engine
  readonly held: Held[]
}

/** What is expected of a case besides that everything comes to rest. */
interface Moment {
  config?(leg: Name): ConfigInput
  run(stage: Stage): Promise<void>
}

const PROTOCOLS: readonly Protocol[] = ['sglang', 'nixl', 'distserve']
const CALL = chat({ messages: [{ role: 'user', content: 'Tell me of rivers. '.repeat(20) }], max_tokens: 12 })
const STREAM = { ...CALL, stream: true }

async function set(one: Engine, fault: string): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ fault: `path=/v1/chat; ${fault}` })
  await one.fetch(new Request('http://e/fault', { method: 'POST', headers, body }))
}

/** Notes the calls that an engine holds. */
function watched(one: Engine, held: Held[]): Engine {
  const seen: Engine = {
    ...one,
    async fetch(request) {
      if (!request.url.endsWith(CHAT)) return one.fetch(request)
      const call: Held = { by: seen, signal: request.signal, isOver: false }
      held.push(call)
      try {
        return await one.fetch(request)
      } finally {
        call.isOver = true
      }
    },
  }
  return seen
}

/** Waits until an engine has the call. */
const busy = ({ held, bad }: Stage) =>
  eventually(
    () => held.some(({ by }) => by === bad),
    () => 'it never got the call',
  )

const said = async ({ protocol }: Stage): Promise<string> => {
  const one = engine({ engine: MODES[protocol].engine })
  const headers = { 'content-type': 'application/json' }
  const init = { method: 'POST', headers, body: JSON.stringify(CALL) }
  const answer = await one.fetch(new Request(`http://e${CHAT}`, init))
  return (await answer.json()).choices[0].message.content
}

const statesOf = (one: Engine) => one.seen().handovers.map(({ state }) => state)

/** KV that was computed and is not wanted: SGLang's prefill call is cut, LMDeploy's session is freed, vLLM's expires by itself. */
const UNWANTED = { sglang: 'aborted', nixl: 'ready', distserve: 'freed' } as const

/** The client has one whole answer, and exactly one decode engine took KV, in rooms that were never used twice. */
async function expectAnswer(stage: Stage, text: string): Promise<void> {
  assert.equal(text, await said(stage))
  const engines = Object.values(stage.fleet)
  const seen = engines.map((one) => one.seen().handovers)
  const received = seen.flat().filter(({ state }) => state === 'received')
  assert.equal(received.length, 1, JSON.stringify(seen))
  const given = seen.flat().filter(({ state }) => state === 'taken')
  assert.deepEqual(
    given.map(({ key }) => key),
    received.map(({ key }) => key),
  )
}

async function expectRetried(stage: Stage): Promise<void> {
  assert.equal(await stage.rig.metric('fetchway_retries_total'), 1)
  const { protocol, leg, mate, bad } = stage
  if (leg === 'prefill') return assert.ok(!statesOf(mate).includes('received'), 'nobody took what never came')
  // Engines that can't be introduced to each other compute nothing.
  if (protocol === 'distserve' && !stage.held.some(({ by }) => by === bad || by === mate)) return
  await unwanted(stage)
}

const unwanted = ({ fleet, protocol }: Stage) =>
  eventually(
    () => statesOf(fleet[P1]!).includes(UNWANTED[protocol]),
    () => `the prefill engine says ${statesOf(fleet[P1]!).join()}`,
  )

/** The first pair fails and a second one answers. */
const madeUp = (fault: string, body: object = CALL): Moment => ({
  async run(stage) {
    if (fault === 'kill') stage.bad.kill()
    else await set(stage.bad, fault)
    const reply = await stage.rig.post(CHAT, body)
    assert.equal(reply.status, 200, reply.text)
    const isStream = 'stream' in body
    await expectAnswer(stage, isStream ? saidIn(reply.text) : reply.body.choices[0].message.content)
    await expectRetried(stage)
  },
})

/** It holds the call and is killed at work. */
const killedAtWork: Moment = {
  async run(stage) {
    const { bad, rig } = stage
    await set(bad, 'stall-before-head; times=1')
    const asked = rig.post(CHAT, STREAM)
    await busy(stage)
    const at = lived()
    await new Promise((resolve) => setTimeout(resolve, 20))
    bad.kill()
    const reply = await asked
    assert.ok(lived() - at < 1000, 'it was noticed at once')
    await expectAnswer(stage, saidIn(reply.text))
    await expectRetried(stage)
  },
}

/** Each leg has a limit of its own. */
const silent: Moment = {
  config: (leg) =>
    leg === 'prefill'
      ? { prefillTimeout: '300ms', firstTokenTimeout: '60s' }
      : { prefillTimeout: '60s', firstTokenTimeout: '300ms' },
  async run(stage) {
    const { bad, rig, leg } = stage
    await set(bad, 'stall-before-head')
    const reply = await rig.post(CHAT, CALL)
    assert.deepEqual([reply.status, reply.body.error.code], [504, 'first_token_timeout'])
    assert.match(reply.body.error.message, leg === 'prefill' ? /prefill worker/ : /The worker/)
    assert.equal(await rig.metric('fetchway_retries_total'), 0)
    if (leg === 'decode') await unwanted(stage)
  },
}

const left: Moment = {
  async run(stage) {
    const { bad, rig, held, leg } = stage
    await set(bad, 'stall-before-head')
    const leave = new AbortController()
    const asked = rig.request(CHAT, { body: STREAM, signal: leave.signal }).catch(() => null)
    await busy(stage)
    leave.abort()
    await asked
    await eventually(
      () => held.every(({ signal, isOver }) => isOver || signal.aborted),
      () => 'an engine still works for a client that left',
    )
    if (leg === 'decode') await unwanted(stage)
  },
}

const MOMENTS: Readonly<Record<string, Moment>> = {
  'takes no connections': madeUp('kill'),
  'dies before its head': madeUp('die-before-head; times=1'),
  'dies before its head, streaming': madeUp('die-before-head; times=1', STREAM),
  'answers 500': madeUp('status=500; times=1'),
  'says that it is busy': madeUp('status=503; times=1'),
  'is killed at work': killedAtWork,
  'says nothing in time': silent,
  'works for a client that leaves': left,
  'breaks its answer off': {
    async run(stage) {
      await set(stage.bad, 'die-after=2; times=1')
      const reply = await stage.rig.post(CHAT, CALL)
      assert.equal(reply.status, 200, reply.text)
      assert.equal(reply.body.choices[0].message.content, await said(stage))
    },
  },
  'dies within the stream': {
    async run(stage) {
      const { rig, bad, leg, protocol, fleet } = stage
      if (leg === 'decode') await set(bad, 'slow=5ms; die-after=4')
      const response = await rig.request(CHAT, { body: STREAM, headers: { 'x-fault': 'slow=5ms' } })
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
      let text = (await reader.read()).value ?? ''
      if (leg === 'prefill') bad.kill()
      for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value
      if (leg === 'prefill') assert.equal(saidIn(text), await said(stage), 'it is not needed any more')
      else {
        assert.match(text, /"code":"worker_died"/)
        assert.doesNotMatch(text, /\[DONE\]/)
        assert.deepEqual(statesOf(fleet[P1]!), ['taken'], protocol)
      }
      assert.equal(await rig.metric('fetchway_retries_total'), 0)
    },
  },
}

for (const protocol of PROTOCOLS)
  describe(`${protocol}: a pair of which one leg fails`, () => {
    for (const leg of ['prefill', 'decode'] as const)
      for (const [moment, { run, config }] of Object.entries(MOMENTS))
        it(`the ${leg} engine ${moment}`, async () => {
          const held: Held[] = []
          const plain = fleetOf(MODES[protocol], [P1, P2, D1, D2])
          const entries = Object.entries(plain).map(([name, one]) => [name, watched(one, held)] as const)
          const fleet = Object.fromEntries(entries) as Record<string, Engine>
          const input = { workers: workersOf(fleet), policy: 'round_robin', ...config?.(leg) }
          const opened = await open(input, fleet, {})
          const rig = new Rig(opened, fleet, undefined)
          const [bad, mate] = leg === 'prefill' ? [fleet[P1]!, fleet[D1]!] : [fleet[D1]!, fleet[P1]!]
          try {
            await run({ rig, fleet, protocol, leg, bad, mate, held })
            await eventually(
              () => held.every(({ signal, isOver }) => isOver || signal.aborted),
              () => 'a leg was left alone',
            )
            await rig.rests()
          } finally {
            await opened.close()
          }
        })
  })

for (const [how, isLeft] of [
  ['its client leaves the stream', true],
  ['the decode engine dies within the stream', false],
] as const)
  it(`sglang: a prefill engine that still talks is cut off when ${how}`, async () => {
    const held: Held[] = []
    const plain = fleetOf(MODES.sglang, [P1, D1])
    const fleet = { [P1]: watched(plain[P1]!, held), [D1]: watched(plain[D1]!, held) }
    await set(fleet[P1]!, 'stall-after=1')
    await set(fleet[D1]!, isLeft ? 'slow=5ms' : 'slow=5ms; die-after=5')
    const opened = await open({ workers: workersOf(fleet) }, fleet, {})
    const rig = new Rig(opened, fleet, undefined)
    try {
      const leave = new AbortController()
      const response = await rig.request(CHAT, { body: STREAM, signal: leave.signal })
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
      let text = ''
      while (!text.includes('"content":"')) text += (await reader.read()).value ?? ''
      assert.equal(held.find(({ by }) => by === fleet[P1])!.signal.aborted, false)
      if (isLeft) leave.abort()
      else while (!(await reader.read()).done);
      await eventually(
        () => held.find(({ by }) => by === fleet[P1])!.signal.aborted,
        () => 'the prefill leg goes on',
      )
      await rig.rests()
    } finally {
      await opened.close()
    }
  })
