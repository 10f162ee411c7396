// An actor of batches on tables in memory, with a clock and engines that tests hold in their hands.
import assert from 'node:assert/strict'
import { openTables } from '../../adapters/node/tables.ts'
import type { ActorState } from '../../src/actors/actor.ts'
import { Batches } from '../../src/actors/batches.ts'
import type { BatchObject } from '../../src/batches/batch.ts'
import type { LineAnswer, LineCall } from '../../src/batches/runner.ts'
import { PIECE, type Tables } from '../../src/batches/tables.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { createClock, settle } from '../_clock.ts'

export const OWNER = 'someone'
export const ENDPOINT = '/v1/chat/completions'

/** A line that went out and waits for its answer. */
export interface Sent {
  readonly call: LineCall
  /** What its body says under `n`. */
  readonly n: number
  answer(status?: number, more?: Partial<LineAnswer>): void
}

export const lineOf = (n: number): string =>
  JSON.stringify({ custom_id: `c${n}`, method: 'POST', url: ENDPOINT, body: { n } })

export const linesOf = (count: number): string =>
  Array.from({ length: count }, (_, n) => lineOf(n)).join('\n')

/** An actor that has started; `tables` of an earlier one: it was killed. */
export async function rig(input: ConfigInput = {}, given?: Tables) {
  const config = configSchema.parse({ batches: true, batchConcurrency: 4, fileExpiry: 'off', ...input })
  const tables = given ?? (await openTables({ ...config, batchStore: 'memory' }))
  const plain = createClock()
  const advance = async (ms: number) => {
    await settle()
    await plain.advance(ms)
  }
  // What was answered just now is heard before time goes on.
  const clock = { ...plain, advance }
  const sent: Sent[] = []
  let cancelAlarm = () => {}
  let seed = 0
  const failures: unknown[] = []
  const state = {
    now: clock.now,
    timer: clock.timer,
    random: () => (seed = (seed * 16_807 + 7) % 2_147_483_647) / 2_147_483_647,
    after: (work: Promise<unknown>) => void work.catch((error: unknown) => failures.push(error)),
    log: () => undefined,
    tables: async () => tables,
    setAlarm(at: number) {
      cancelAlarm()
      cancelAlarm = clock.timer(Math.max(0, at - clock.now()), () => state.after(actor.alarm()))
    },
  }
  const actor = new Batches(config, state as unknown as ActorState)
  const run = (call: LineCall) =>
    new Promise<LineAnswer>((resolve, reject) => {
      const { n } = JSON.parse(new TextDecoder().decode(call.body)) as { n: number }
      call.signal.addEventListener('abort', () => reject(new Error('aborted')))
      sent.push({
        call,
        n,
        answer(status = 200, more = {}) {
          const body = new TextEncoder().encode(`{"said":\n${n}}`)
          resolve({ status, requestId: `r${n}`, retryAfter: 0, body, ...more })
        },
      })
    })
  await actor.start(run)
  await clock.advance(0)

  async function upload(text: string, purpose = 'batch', owner = OWNER): Promise<string> {
    const id = await actor.openFile(owner, 24)
    assert.ok(typeof id === 'string', JSON.stringify(id))
    const bytes = new TextEncoder().encode(text)
    for (let at = 0; at < bytes.length; at += PIECE)
      assert.equal(await actor.append(id, bytes.subarray(at, at + PIECE)), null)
    await actor.closeFile(id, { name: 'in.jsonl', purpose })
    return id
  }
  async function create(inputFile: string, window = 86_400_000): Promise<BatchObject> {
    const spec = {
      endpoint: ENDPOINT,
      input_file_id: inputFile,
      completion_window: 'as asked',
      metadata: null,
    }
    const made = await actor.create(OWNER, { spec, window }, { digits: 24, purpose: 'batch' })
    assert.ok(!('code' in made), JSON.stringify(made))
    return made
  }
  return {
    actor,
    clock,
    tables,
    /** Lines that wait for their answers are taken from it. */
    sent,
    failures,
    upload,
    create,
    /** A batch of lines that are checked already. */
    async begin(text: string, window?: number): Promise<BatchObject> {
      const made = await create(await upload(text), window)
      await clock.advance(0)
      return made
    },
    now: async ({ id }: { readonly id: string }) => (await actor.batch(OWNER, id))!,
    async read(id: string): Promise<string> {
      let text = ''
      for (let at = 0; ;) {
        const part = await actor.read(OWNER, id, at)
        if (!part) return text
        text += new TextDecoder().decode(part.bytes)
        at = part.next
      }
    },
  }
}
