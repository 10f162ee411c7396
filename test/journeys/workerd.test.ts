// The journeys on real workerd, and what is special there: native passing, lost pools, and the gaps, each with its reproduction.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { after, describe, it } from 'node:test'
import { WebSocketServer } from 'ws'
import type { ConfigInput } from '../../src/config/schema.ts'
import { Cluster, listen, pod } from '../discovery/kubernetes/_cluster.ts'
import { begin, ended, KEPT, lineOf, linesOf } from './_batches.ts'
import { journeys } from './_journeys.ts'
import { callsOf, chat, CHAT, engine, eventually, Rig, saidIn, W1, W2, WORKERS, type Fleet } from './_rig.ts'
import { listenAll } from './_sockets.ts'
import { open, type OpenedHere } from './_workerd.ts'

journeys({
  name: 'workerd',
  open,
  gaps: ['real-clock', 'early-leave', 'blind-connect', 'fixed-configuration'],
})

const STREAM = chat({ stream: true })
const LONG = chat({ stream: true, max_tokens: 2000, ignore_eos: true })

/** Opens a router, and closes it at rest. */
async function through(
  config: ConfigInput,
  fleet: Fleet,
  journey: (rig: Rig, opened: OpenedHere) => Promise<void>,
): Promise<void> {
  const opened = await open({ workers: Object.keys(fleet), ...config }, fleet)
  const rig = new Rig(opened, fleet, config.adminKey)
  try {
    await journey(rig, opened)
    await rig.rests()
  } finally {
    await opened.close()
  }
}

describe('workerd: workers without a public address', () => {
  const url = 'http://gpu0.internal:8000'

  it('calls, probes and questions go through the binding that is named', async () => {
    const opened = await open(
      { workers: [{ url, via: { binding: 'VIA_GPU0' } }] },
      { [W1]: engine() },
      {
        bindings: { VIA_GPU0: W1 },
      },
    )
    const rig = new Rig(opened, {}, undefined)
    await eventually(
      async () => (await rig.post(CHAT, chat())).status === 200,
      () => 'no call passes',
    )
    await opened.close()
  })

  it('a binding that is not there is told by every answer', async () => {
    const opened = await open({ workers: [{ url, via: { binding: 'GPU9' } }] }, {})
    const answer = await new Rig(opened, {}, undefined).post(CHAT, chat())
    assert.deepEqual([answer.status, answer.body.error.code], [500, 'invalid_configuration'])
    assert.match(answer.body.error.message, /workers\[0\]\.via: .*GPU9.*no service or VPC binding/)
    await opened.close()
  })
})

describe('workerd: workers in Kubernetes', () => {
  it('are found by a URL and a token, and gone after a list even when the watch was lost', async (t) => {
    const cluster = new Cluster()
    cluster.token = 'k8s'
    const api = await listen(cluster)
    t.after(api.close)
    const port = Number(new URL((await listenAll({ [W1]: engine() })).get(W1) ?? '').port)
    cluster.put('pods', pod('a', { ip: '127.0.0.1', port }))
    const config: ConfigInput = {
      discover: ['kubernetes'],
      kubernetesApi: api.url,
      kubernetesToken: 'k8s',
      kubernetesNamespace: 'models',
      kubernetesSelector: 'app=engine',
      kubernetesPort: 'http',
      kubernetesRelist: '500ms',
    }
    const opened = await open(config, {})
    const rig = new Rig(opened, {}, undefined)
    await eventually(
      async () => (await rig.post(CHAT, chat())).status === 200,
      () => 'no call passes',
    )
    await opened.loseRegistry()
    cluster.lost.add('DELETED')
    await eventually(
      async () => (await rig.workers()).length === 1,
      () => 'not found again',
    )
    cluster.remove('pods', 'a')
    await eventually(
      async () => (await rig.workers()).length === 0,
      () => 'still there',
    )
    await opened.close()
  })

  it('without a token are refused by every answer', async () => {
    const opened = await open(
      { discover: ['kubernetes'], kubernetesSelector: 'a', kubernetesApi: 'http://k' },
      {},
    )
    const answer = await new Rig(opened, {}, undefined).post(CHAT, chat())
    assert.deepEqual([answer.status, answer.body.error.code], [500, 'invalid_configuration'])
    assert.match(answer.body.error.message, /kubernetes needs kubernetesApi and kubernetesToken here/)
    await opened.close()
  })
})

describe('workerd: streams that fall silent', () => {
  it('tell of a client that leaves, by comments between their events', () => {
    const w1 = engine({ speed: 1, stepMs: 10 })
    return through({ usage: 'all', keepAlive: '20ms' }, { [W1]: w1 }, async (rig) => {
      const leave = new AbortController()
      const headers = { 'x-fault': 'stall-after=3' }
      const response = await rig.request(CHAT, { body: LONG, headers, signal: leave.signal })
      let text = ''
      const decoder = new TextDecoder()
      const reader = (response.body as ReadableStream<Uint8Array>).getReader()
      while (!text.includes(': keep-alive')) text += decoder.decode((await reader.read()).value)
      assert.match(text, /^(?:(?:data: .+|: keep-alive)\n\n)+$/)
      leave.abort()
      await eventually(
        () => w1.seen().running === 0,
        () => 'the engine works on',
      )
      await rig.rests()
      assert.equal(await rig.metric('fetchway_requests_total', 'outcome="left"'), 1)
    })
  })
})

describe('workerd: streams that nobody counts pass natively', () => {
  it('says the same, and its end gives everything back', () =>
    through({ usage: 'off' }, { [W1]: engine() }, async (rig) => {
      const { text } = await rig.post(CHAT, STREAM)
      assert.match(text, /data: \[DONE\]\n\n$/)
      const whole = await rig.post(CHAT, chat())
      assert.equal(saidIn(text), whole.body.choices[0].message.content)
      await rig.rests()
      assert.equal(await rig.metric('fetchway_requests_total', 'outcome="ok"'), 2)
      assert.equal(await rig.metric('fetchway_first_token_seconds_count'), 1)
    }))

  it('a client that leaves ends the work of the engine', () => {
    const w1 = engine({ speed: 1, stepMs: 10 })
    return through({ usage: 'off' }, { [W1]: w1 }, async (rig) => {
      const leave = new AbortController()
      const response = await rig.request(CHAT, { body: LONG, signal: leave.signal })
      const reader = (response.body as ReadableStream<Uint8Array>).getReader()
      for (let part = 0; part < 5; part++) await reader.read()
      leave.abort()
      await eventually(
        () => w1.seen().running === 0,
        () => 'the engine works on',
      )
      await rig.rests()
      assert.equal(await rig.metric('fetchway_requests_total', 'outcome="left"'), 1)
    })
  })

  it('an engine that dies is told as an event of its own', () =>
    through({ usage: 'off' }, { [W1]: engine() }, async (rig) => {
      const { text } = await rig.post(CHAT, STREAM, { 'x-fault': 'slow=5ms; half-event-after=5' })
      assert.match(text, /\n\ndata: \{"error":\{[^\n]*"code":"worker_died"[^\n]*\}\n\n$/)
      assert.doesNotMatch(text, /\[DONE\]/)
      await rig.rests()
      assert.equal(await rig.metric('fetchway_requests_total', 'outcome="truncated"'), 1)
    }))

  it('the whole still has its limit', () =>
    through({ usage: 'off', totalTimeout: '1s' }, { [W1]: engine() }, async (rig) => {
      const { text } = await rig.post(CHAT, LONG, { 'x-fault': 'slow=5ms' })
      assert.match(text, /"code":"total_timeout"[^\n]*\}\n\n$/)
    }))
})

describe('workerd: objects come and go', () => {
  it('a pool that is lost is made anew: streams go on, calls are served', () =>
    through({ policy: 'round_robin' }, { [W1]: engine(), [W2]: engine() }, async (rig, { losePool }) => {
      const running = rig.post(CHAT, chat({ stream: true, max_tokens: 150 }), { 'x-fault': 'slow=10ms' })
      await eventually(
        async () => (await rig.status()).in_flight === 1,
        () => 'never in flight',
      )
      const calls = Promise.all(Array.from({ length: 20 }, () => rig.post(CHAT, chat())))
      await losePool()
      assert.ok((await calls).every(({ status }) => status === 200))
      assert.match((await running).text, /data: \[DONE\]\n\n$/)
    }))

  it('a call that waits when the pool is lost waits on, or is decided', () => {
    const w1 = engine()
    return through({ maxInFlightPerWorker: 1 }, { [W1]: w1 }, async (rig, { losePool }) => {
      const leave = new AbortController()
      const first = await rig.request(CHAT, {
        body: LONG,
        headers: { 'x-fault': 'slow=5ms' },
        signal: leave.signal,
      })
      const waiting = rig.post(CHAT, chat())
      await rig.queued(1)
      await losePool()
      assert.equal((await waiting).status, 200)
      leave.abort()
      await assert.rejects(first.text())
    })
  })

  it('objects that are lost again and again never mean a 500, in the control plane either', () =>
    through({}, { [W1]: engine() }, async (rig, { losePool, loseRegistry }) => {
      const seen = new Set<number>()
      const ask = async (method: string, path: string, body?: unknown) =>
        void seen.add((await rig.admin(method, path, body)).status)
      for (let round = 0; round < 8; round++) {
        await Promise.all([
          losePool(),
          ask('GET', WORKERS),
          ask('GET', '/fetchway/v1/status'),
          ask('GET', '/metrics'),
          ask('GET', '/v1/models'),
          ask('PATCH', `${WORKERS}/w-none`, { weight: 2 }),
          loseRegistry(),
          ask('POST', WORKERS, { url: 'http://127.0.0.1:9' }),
          ask('GET', '/readyz'),
          ask('GET', WORKERS),
        ])
      }
      assert.ok(seen.has(200))
      assert.deepEqual(
        [...seen].filter((status) => status >= 500 && status !== 503),
        [],
      )
    }))

  it('a wrong configuration is told by every answer, with all that is wrong', async () => {
    const config = { policy: 'best', retries: -1 } as unknown as ConfigInput
    const opened = await open(config, {})
    const rig = new Rig(opened, {}, undefined)
    for (const reply of [await rig.post(CHAT, chat()), await rig.ask('/livez')]) {
      assert.deepEqual([reply.status, reply.body.error.code], [500, 'invalid_configuration'])
      assert.match(reply.body.error.message, /policy.*retries/)
    }
  })
})

describe('workerd: WebSockets', () => {
  it('passes texts, bytes, the subprotocol and the end both ways, and gives its place back', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    server.on('connection', (socket) => {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
      socket.on(
        'message',
        (data) => (data as Buffer).toString('latin1') === 'end' && socket.close(4001, 'enough'),
      )
    })
    after(() => server.close())
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    await through({ workers: [{ url, models: ['m'] }] }, {}, async (rig, { socket }) => {
      const client = socket('/v1/realtime?model=m', ['realtime'])
      await once(client, 'open')
      assert.equal(client.protocol, 'realtime')
      for (const [message, isBinary] of [
        [Buffer.from([0, 255]), true],
        [Buffer.from('hello'), false],
      ] as const) {
        client.send(message, { binary: isBinary })
        assert.deepEqual(await once(client, 'message'), [message, isBinary])
      }
      assert.equal((await rig.status()).in_flight, 1)
      client.send('end')
      const [code, reason] = (await once(client, 'close')) as [number, Buffer]
      assert.deepEqual([code, String(reason)], [4001, 'enough'])
      await rig.rests()
      const gone = socket('/v1/realtime?model=m')
      await once(gone, 'open')
      gone.terminate()
    })
  })

  it('a worker that takes none is heard, and counted with its status', () =>
    through({}, { [W1]: engine() }, async (rig, { socket }) => {
      const client = socket('/v1/realtime?model=m')
      const [error] = (await once(client, 'error')) as [Error]
      assert.match(error.message, /404/)
      await rig.rests()
      const of = async (labels: string) =>
        rig.metric('fetchway_requests_total', `endpoint="websocket",${labels}`)
      assert.equal(await of('status="404",outcome="client_error"'), 1)
      assert.equal(await of('status="101",outcome="ok"'), 0)
    }))
})

describe('workerd: batches', () => {
  it('go on where they were when their object is lost: each line is there once', async () => {
    const worker = engine({ fault: 'delay=15ms' })
    const opened = await open({ ...KEPT, batchConcurrency: 4, workers: [W1] }, { [W1]: worker })
    const rig = new Rig(opened, { [W1]: worker }, undefined)
    const ids = Array.from({ length: 60 }, (_, index) => `line-${index}`)
    const batch = await begin(rig, ids.map((id) => lineOf(id)).join('\n'))
    const done = async () => (await rig.ask(`/v1/batches/${batch.id}`)).body.request_counts.completed
    await eventually(
      async () => (await done()) >= 20,
      () => 'no line is answered',
    )
    await opened.loseBatches()
    const { request_counts: counts, output_file_id: output } = await ended(rig, batch)
    assert.deepEqual(counts, { total: 60, completed: 60, failed: 0 })
    const told = (await linesOf(rig, output)).map((line) => line.custom_id as string)
    assert.deepEqual(told.toSorted(), ids.toSorted())
    assert.ok(callsOf(worker).length <= 64)
    // Not at rest: the leases of calls that were lost with it fall by themselves.
    await opened.close()
  })
})

describe('workerd: its gaps, so that we hear when they close', () => {
  it('early-leave: a client that leaves before its answer has begun is not noticed', () => {
    const w1 = engine({ speed: 1, stepMs: 10 })
    return through({}, { [W1]: w1 }, async (rig) => {
      const leave = new AbortController()
      const asked = rig.request(CHAT, {
        body: chat({ max_tokens: 150, ignore_eos: true }),
        signal: leave.signal,
      })
      asked.catch(() => undefined)
      await rig.busy(w1)
      leave.abort()
      await assert.rejects(asked)
      await eventually(
        () => w1.seen().finished === 1,
        () => 'the gap has closed: the engine was stopped',
      )
      assert.equal(callsOf(w1).length, 1)
    })
  })

  it('early-leave: a stream that waits is kept awake by default, which reveals the leave', () => {
    const w1 = engine()
    return through({ keepAlive: '20ms' }, { [W1]: w1 }, async (rig) => {
      const leave = new AbortController()
      const fault = { 'x-fault': 'stall-before-head' }
      const response = await rig.request(CHAT, { body: STREAM, headers: fault, signal: leave.signal })
      leave.abort()
      await assert.rejects(response.text())
      await rig.rests()
      assert.equal(await rig.metric('fetchway_requests_total', 'outcome="left"'), 1)
    })
  })
})
