// Flags and variables of the routers in Python by what they do: each row opens a router by lines that differ in one of them.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Dialect } from '../../../src/dialects/dialect.ts'
import { callsOf, chat, CHAT, type Fleet, type Json, type Reply } from '../../journeys/_rig.ts'
import type { Engine } from '../../../src/simulator/engine.ts'
import { speak, type Compat, type Spoken } from '../../compat/_rig.ts'

/** What a line leads to, and what it has to be. Words like `NAME=value` are variables of the environment. */
export type Case = readonly [line: string, expected: unknown]

export interface Row {
  /** The flag or variable, or several that do nothing without each other. */
  readonly name: string
  readonly cases: readonly [Case, Case, ...Case[]]
  /** What somebody sees where the router runs by that line: a client, an engine, a reader of files or logs. */
  see(line: string, t: TestContext): Promise<unknown>
}

/** A line's flags, and its variables. */
export function sorted(line: string): { flags: string; environment: Record<string, string> } {
  const words = line.split(' ').filter((word) => word !== '')
  const isVariable = (word: string) => /^[A-Z_]+=/.test(word)
  const pairs = words.filter(isVariable).map((word) => [word.split('=')[0], word.replace(/^[^=]*=/, '')])
  return {
    flags: words.filter((word) => !isVariable(word)).join(' '),
    environment: Object.fromEntries(pairs),
  }
}

/** Opens a router of this process by a line. */
export const openBy = (
  dialect: Dialect,
  { t, line, fleet, more = {} }: { t: TestContext; line: string; fleet: Fleet; more?: Partial<Spoken> },
): Promise<Compat> => speak(t, dialect, { ...sorted(line), fleet, ...more })

/** A test for each row, and one that each flag and variable has one, or stands in `without` with its reason. */
export function testProgram(
  name: string,
  {
    rows,
    names,
    without,
  }: { rows: readonly Row[]; names: readonly string[]; without: Readonly<Record<string, string>> },
): void {
  for (const { name: about, cases, see } of rows)
    test(`${name}: ${about}`, async (t) => {
      for (const [line, expected] of cases)
        assert.deepEqual(await see(line, t), expected, line === '' ? 'without it' : line)
    })

  const seen = new Set(rows.flatMap(({ name: about }) => about.split(' ')))

  test(`${name}: each flag and variable is seen to have an effect, or is known to have none`, () => {
    const unseen = names.filter((one) => !seen.has(one) && !Object.hasOwn(without, one))
    assert.deepEqual(unseen, [])
    const both = Object.keys(without).filter((one) => seen.has(one) || !names.includes(one))
    assert.deepEqual(both, [], 'without effect, and yet seen or not there')
  })

  test(`${name}: what is expected of the lines of a row is not the same for all`, () => {
    for (const { name: about, cases } of rows)
      assert.ok(new Set(cases.map(([, expected]) => JSON.stringify(expected))).size > 1, about)
  })
}

/** A chat's reply; `more`: of its body. */
export const send = (
  router: Compat,
  more: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> => router.post(CHAT, chat(more), headers)

/** Chats that each engine got. */
export const counts = (...engines: readonly Engine[]): number[] =>
  engines.map((one) => callsOf(one).filter(({ path }) => path === CHAT).length)

/** The body of the first such call. */
export const bodyOf = (node: Engine, path = CHAT): Json =>
  JSON.parse(callsOf(node).find((call) => call.path === path)?.body || '{}') as Json

/** The status of a reply if it is here; `waiting` otherwise. */
export async function soFar(reply: Promise<Reply>): Promise<number | 'waiting'> {
  const turn = new Promise<'waiting'>((resolve) => setImmediate(() => resolve('waiting')))
  return Promise.race([reply.then(({ status }) => status), turn])
}

/** Lets that many seconds pass, one after the other. */
export async function pass(router: Compat, seconds: number): Promise<void> {
  for (let i = 0; i < seconds; i++) await router.pass(1000)
}

/** Sends one chat after the other and says which of the fleet each went to. */
export async function routes(
  router: Compat,
  nodes: readonly Engine[],
  bodies: readonly Readonly<Record<string, unknown>>[],
  headers: Readonly<Record<string, string>> = {},
): Promise<number[]> {
  const gone: number[] = []
  for (const body of bodies) {
    const before = counts(...nodes)
    await send(router, body, headers)
    gone.push(counts(...nodes).findIndex((count, i) => count > (before[i] ?? 0)))
  }
  return gone
}
