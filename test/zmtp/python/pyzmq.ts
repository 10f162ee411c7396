// `npm run test:python`: our ZMTP and the following of KV events against pyzmq, that is libzmq, in a process of its own.
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, it } from 'node:test'
import { createSockets } from '../../../adapters/node/sockets.ts'
import { createTimers } from '../../../adapters/web/timers.ts'
import { KvSource, type SourceHearer } from '../../../src/actors/kv-source.ts'
import { configSchema } from '../../../src/config/schema.ts'
import type { Core } from '../../../src/core.ts'
import { LmcacheController } from '../../../src/extensions/lmcache/controller.ts'
import { heartbeatSource } from '../../../src/discovery/heartbeat/port.ts'
import type { Wanted } from '../../../src/discovery/source.ts'
import type { KvEvent } from '../../../src/prefix/kv-batch.ts'
import { Publisher, Router } from '../../../src/zmtp/binding.ts'
import { pythonOf } from '../../_venv.ts'
import { until } from '../../actors/_kv.ts'
import { freePort } from '../../journeys/_sockets.ts'

const HERE = import.meta.dirname
const python = pythonOf(HERE)
const sockets = createSockets()
const timers = createTimers()
const clock = { now: () => performance.now(), random: Math.random, timer: timers.start }
const LOCAL = { host: '127.0.0.1', port: 0 }
const children: ChildProcess[] = []
after(() => {
  for (const child of children) child.kill('SIGKILL')
  sockets.close()
  timers.close()
})

type Line = Readonly<Record<string, unknown>>

interface Peer {
  /** The next line that it tells. */
  next(): Promise<Line>
  /** Tells it to do something, and waits until it is done. */
  tell(words: string): Promise<void>
  /** Tells it to do something. */
  write(words: string): void
  end(): void
}

async function peer(...args: string[]): Promise<Peer> {
  const child = spawn(python, [join(HERE, 'peer.py'), ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`${args.join(' ')} ended`)
    return JSON.parse(value) as Line
  }
  const { libzmq } = await next()
  assert.match(String(libzmq), /^4\./)
  return {
    next,
    async tell(words) {
      child.stdin.write(`${words}\n`)
      await next()
    },
    write: (words) => void child.stdin.write(`${words}\n`),
    end: () => void child.kill('SIGKILL'),
  }
}

interface Followed {
  readonly source: KvSource
  readonly events: KvEvent[]
  readonly told: string[]
}

function follow(spec: { endpoint: string; replay?: string | null; isBound?: boolean }): Followed {
  const events: KvEvent[] = []
  const told: string[] = []
  const hearer: SourceHearer = {
    batch: (batch) => void events.push(...batch.events),
    restarted: () => void told.push('restarted'),
    lost: (reason) => void told.push(`lost: ${reason}`),
    up: () => void told.push('up'),
    down: () => void told.push('down'),
    broken: (reason) => void told.push(`broken: ${reason}`),
  }
  const whole = { rank: 0, topic: 'kv', isBound: false, replay: null, ...spec }
  const source = new KvSource(whole, { sockets, clock }, hearer)
  void source.start()
  return { source, events, told }
}

async function engine(...args: string[]) {
  return published(await peer('engine', ...args))
}

async function published(one: Peer) {
  const { port, replay } = await one.next()
  return { ...one, endpoint: `tcp://127.0.0.1:${String(port)}`, replay: `tcp://127.0.0.1:${String(replay)}` }
}

describe('against pyzmq', () => {
  it('all batches come, the long ones too', async () => {
    const pub = await engine()
    const { source, events, told } = follow({ endpoint: pub.endpoint, replay: pub.replay })
    await until(() => told.includes('up'), 'a publisher')
    await pub.tell('many 20000')
    await until(() => events.length === 20_000, '20,000 events')
    await pub.tell('long')
    await until(() => events.length === 20_001, 'a long one')
    await pub.tell('removed 9223372036854775808')
    await until(() => events.length === 20_002, 'one more')
    const hashes = events.slice(0, 20_000).map((event) => (event.kind === 'stored' ? event.hashes[0] : 0n))
    assert.deepEqual(
      hashes,
      hashes.map((_, i) => 2n ** 63n + BigInt(i)),
    )
    assert.deepEqual(events.at(-1), { kind: 'removed', hashes: [2n ** 63n], medium: 'GPU', group: null })
    assert.deepEqual(told, ['up'])
    source.close()
    pub.end()
  })

  it('a publisher that gives up silent peers keeps us', async () => {
    const pub = await published(await peer('beating-engine'))
    const { source, events, told } = follow({ endpoint: pub.endpoint, replay: pub.replay })
    await until(() => told.includes('up'), 'a publisher')
    await new Promise((resolve) => setTimeout(resolve, 1500)) // longer than its patience
    await pub.tell('stored - 7')
    await until(() => events.length === 1, 'an event')
    assert.deepEqual(told, ['up'])
    source.close()
    pub.end()
  })

  it('what was published before is had by a replay, and so is what was lost', async () => {
    const pub = await engine()
    await pub.tell('stored - 1,2')
    await pub.tell('stored 2 3')
    const { source, events, told } = follow({ endpoint: pub.endpoint, replay: pub.replay })
    await until(() => events.length === 2, 'the past')
    await pub.tell('lose stored 3 4')
    await pub.tell('stored 4 5')
    await until(() => events.length === 4, 'what was lost')
    const last = events.map((event) => (event.kind === 'stored' ? event.hashes.at(-1) : 0n))
    assert.deepEqual(last, [2n, 3n, 4n, 5n])
    assert.deepEqual(told, ['up'])
    source.close()
    pub.end()
  })

  it('a publisher that counts anew is another one, and one that vanishes is waited for', async () => {
    const pub = await engine()
    const { source, events, told } = follow({ endpoint: pub.endpoint })
    await until(() => told.includes('up'), 'a publisher')
    // The subscription has to reach it.
    await new Promise((resolve) => setTimeout(resolve, 200))
    await pub.tell('stored - 1')
    await pub.tell('stored - 2')
    await pub.tell('restart')
    await pub.tell('cleared')
    await until(() => events.length === 3, 'all')
    assert.deepEqual(told, ['up', 'restarted'])
    source.close()
    pub.end()
  })

  it('a publisher may connect to us', async () => {
    const endpoint = `tcp://127.0.0.1:${await freePort()}`
    const { source, events, told } = follow({ endpoint, isBound: true })
    const pub = await engine(endpoint)
    await until(() => told.includes('up'), 'a publisher')
    await new Promise((resolve) => setTimeout(resolve, 200))
    await pub.tell('stored - 7')
    await until(() => events.length === 1, 'an event')
    source.close()
    pub.end()
  })

  it('its SUB gets what our PUB publishes, by topic', async () => {
    const publisher = await Publisher.bind({ sockets, clock, address: LOCAL })
    const sub = await peer('sub', `tcp://127.0.0.1:${publisher.port}`, 'kv@')
    await sub.next()
    await until(() => publisher.hasHearers('kv@1'), 'a subscription')
    publisher.publish([Buffer.from('other'), Buffer.from('no')])
    publisher.publish([Buffer.from('kv@1'), new Uint8Array(70_000).fill(5)])
    const { message } = await sub.next()
    const [topic, body] = message as string[]
    assert.deepEqual([topic, body?.length], [Buffer.from('kv@1').toString('hex'), 140_000])
    sub.end()
    await until(() => publisher.peers === 0, 'gone')
    publisher.close()
  })

  for (const identity of ['', 'prefill-1'])
    it(`its DEALER ${identity ? 'with' : 'without'} an identity registers with our ROUTER`, async () => {
      const seen: (readonly [string, number])[] = []
      const left: string[] = []
      const router: Router = await Router.bind({
        sockets,
        clock,
        address: LOCAL,
        onMessage(from, parts) {
          seen.push([from, parts.length])
          router.send(from, [Buffer.from('ok'), ...parts.slice(-1)])
        },
        onLeave: (from) => void left.push(from),
      })
      const dealer = await peer('dealer', `tcp://127.0.0.1:${router.port}`, identity)
      const first = (await dealer.next())['answer'] as string[]
      assert.equal(first[0], Buffer.from('ok').toString('hex'))
      const second = (await dealer.next())['answer'] as string[]
      assert.equal(second[1]?.length, 200_000)
      await dealer.next()
      await until(() => left.length === 1, 'it left')
      const name = identity ? Buffer.from(identity).toString('hex') : '#1'
      assert.deepEqual(seen, [
        [name, 1],
        [name, 2],
      ])
      dealer.end()
      router.close()
    })

  it('DEALERs register workers and keep them by their beats, as vLLM’s connectors do', async () => {
    let wanted: readonly Wanted[] = []
    const port = await freePort()
    const config = configSchema.parse({
      heartbeatListen: `tcp://127.0.0.1:${port}`,
      heartbeatTimeout: '1s',
      heartbeatToken: 'tk',
    })
    const seams = { ...clock, sockets, log: () => undefined, after: () => undefined }
    const source = heartbeatSource.make(config, seams, (workers) => (wanted = workers ?? wanted))
    const urls = () => wanted.map(({ spec }) => `${spec.role} ${spec.url} ${spec.kvAddress}`).sort()
    // They may be there first.
    const prefill = await peer('beat', `tcp://127.0.0.1:${port}`, '10.0.0.1:21001')
    const decode = await peer('beat', `tcp://127.0.0.1:${port}`)
    await Promise.all([prefill.next(), decode.next()])
    const map = (type: string, host: string) =>
      JSON.stringify({ type, http_address: `${host}:20001`, zmq_address: `${host}:21001`, token: 'tk' })
    await prefill.tell(`beat ${map('P', '10.0.0.1')}`)
    await decode.tell(`beat ${map('D', '10.0.0.2')}`)
    source.start()
    const both = [
      'decode http://10.0.0.2:20001 10.0.0.2:21001',
      'prefill http://10.0.0.1:20001 10.0.0.1:21001',
    ]
    await until(() => urls().join() === both.join(), 'both')
    // Longer than a beat lasts.
    await new Promise((resolve) => setTimeout(resolve, 1300))
    assert.deepEqual(urls(), both)
    await decode.tell(`beat ${map('D', '10.0.0.2').replace('tk', 'other')}`)
    await until(() => urls().join() === both[1], 'the one with the token')
    prefill.end()
    await until(() => urls().length === 0, 'nobody')
    source.stop()
    decode.end()
  })

  it('LMCache’s workers tell a controller what they hold, and are told who holds more', async () => {
    const logged: string[] = []
    const host = {
      ...clock,
      log: ({ message }: { readonly message: string }) => void logged.push(message),
    } as unknown as Core['host']
    const controller = new LmcacheController({ host } as Core)
    const rules = { port: 0, replyPort: 0, workerTimeout: 30_000 }
    const doors = await controller.open(rules, sockets, '127.0.0.1')
    const at = (port: number | null) => `tcp://127.0.0.1:${port}`
    const worker = await peer('lmcache', at(doors.pull), at(doors.reply))
    await worker.next()
    await worker.tell('admit two 600')
    await until(() => !controller.isEmpty, 'chunks')
    const tokens = Array.from({ length: 700 }, (_, i) => i)
    const { instances, matched } = controller.lookUp(tokens)
    assert.deepEqual([instances.map(({ name, ip }) => [name, ip]), matched], [[['two', '10.0.0.2']], 512])
    worker.write('lookup one 512')
    assert.deepEqual(await worker.next(), {
      type: 'BatchedP2PLookupRetMsg',
      layout_info: [['two', 'LocalCPUBackend', 2, '']],
    })
    controller.close()
    worker.end()
  })
})
