// Flags by what they do: each row opens a router by command lines that differ in one flag, and tells what somebody sees of it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sglangRouter } from '../../../src/dialects/sglang-router/index.ts'
import { vllmRouter } from '../../../src/dialects/vllm-router/index.ts'
import type { Dialect } from '../../../src/dialects/dialect.ts'
import type { Engine, EngineOptions } from '../../../src/simulator/engine.ts'
import { callsOf, chat, CHAT, engine, W1, W2 } from '../../journeys/_rig.ts'
import { rig, type Besides, type Reply, type Rigged, type Server } from '../_rig.ts'

/** One of the two programs, with what its rows need of it. */
export interface Speaker {
  readonly dialect: Dialect
  readonly kind: 'sglang' | 'vllm'
  /** The switch of its pairs. */
  readonly pairs: string
  engine(options?: Partial<EngineOptions>): Engine
  /** A router by a line of its flags; without probes, unless these are asked for. */
  open(
    line: string,
    fleet: Readonly<Record<string, Server | null>>,
    more?: Besides & { readonly isProbed?: boolean },
  ): Promise<Rigged>
}

/** What a line leads to, and what it has to be. */
export type Case = readonly [line: string, expected: unknown]

export interface Row {
  /** The flag, or several that do nothing without each other. */
  readonly flag: string
  /** Of one program alone. */
  readonly of?: Speaker['kind']
  readonly cases: readonly [Case, Case, ...Case[]]
  /** What somebody sees where the router runs by that line: a client, an engine, a reader of metrics or of logs. */
  see(line: string, speaker: Speaker): Promise<unknown>
}

export const SGLANG: Speaker = speakerOf(sglangRouter, 'sglang', '--pd-disaggregation')
export const VLLM: Speaker = speakerOf(vllmRouter, 'vllm', '--vllm-pd-disaggregation')

function speakerOf(dialect: Dialect, kind: Speaker['kind'], pairs: string): Speaker {
  return {
    dialect,
    kind,
    pairs,
    engine: (options = {}) => engine({ engine: kind, ...options }),
    open: (line, fleet, { isProbed = false, ...more } = {}) =>
      rig(dialect, line.trim().replaceAll(/\s+/g, ' '), fleet, {
        ...(!isProbed && { healthInterval: 'off' }),
        ...more,
      }),
  }
}

/** A test for each row and program. */
export function testRows(rows: readonly Row[]): void {
  for (const speaker of [SGLANG, VLLM])
    for (const { flag, of, cases, see } of rows) {
      if (of !== undefined && of !== speaker.kind) continue
      test(`${speaker.dialect.name}: ${flag}`, async () => {
        for (const [line, expected] of cases)
          assert.deepEqual(await see(line, speaker), expected, line === '' ? 'without it' : line)
      })
    }
}

/** The flags that rows are about, by program. */
export function flagsOf(rows: readonly Row[], kind: Speaker['kind']): Set<string> {
  return new Set(
    rows.filter(({ of }) => of === undefined || of === kind).flatMap(({ flag }) => flag.split(' ')),
  )
}

export const ONE = `--worker-urls ${W1}`
export const TWO = `--worker-urls ${W1} ${W2}`

/** A chat that is sent; `more`: of its body. */
export const send = (
  router: Rigged,
  more: Readonly<Record<string, unknown>> = {},
  headers: Record<string, string> = {},
): Promise<Reply> => router.ask(CHAT, { body: chat(more), headers })

/** A chat that says this. */
export const saying = (content: string): { messages: object[] } => ({
  messages: [{ role: 'user', content }],
})

/** Calls that each engine got. */
export const counts = (...engines: readonly Engine[]): number[] => engines.map((one) => callsOf(one).length)

/** The status of a reply if it is here; `waiting` otherwise. */
export async function soFar(reply: Promise<Reply>): Promise<number | 'waiting'> {
  const turn = new Promise<'waiting'>((resolve) => setImmediate(() => resolve('waiting')))
  return Promise.race([reply.then(({ status }) => status), turn])
}

/** Value of the first sample that begins so. */
export function sample(text: string, start: string): number | null {
  const line = text.split('\n').find((one) => one.startsWith(start))
  return line === undefined ? null : Number(line.slice(line.lastIndexOf(' ') + 1))
}
