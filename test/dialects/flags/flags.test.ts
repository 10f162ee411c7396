// Each flag of the two Rust routers, by what changes with it; those that change nothing are known by name.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { doorRows } from './_doors.ts'
import { flagsOf, SGLANG, testRows, VLLM } from './_flag.ts'
import { fleets } from './_fleets.ts'
import { limits } from './_limits.ts'
import { policies } from './_policies.ts'
import { processes } from './_process.ts'
import { recovery } from './_recovery.ts'
import { telling } from './_telling.ts'
import { tiers } from './_tiers.ts'

const ROWS = [...limits, ...recovery, ...doorRows, ...policies, ...fleets, ...telling, ...tiers, ...processes]

testRows(ROWS)

for (const { dialect, kind } of [SGLANG, VLLM]) {
  const seen = flagsOf(ROWS, kind)
  const table = dialect.flags([])

  test(`${dialect.name}: whatever flag has an effect is seen to have it`, () => {
    const unseen = table.filter(
      ({ inert, names }) => inert === undefined && !names.some((name) => seen.has(name)),
    )
    assert.deepEqual(
      unseen.map(({ names }) => names[0]),
      [],
    )
  })

  test(`${dialect.name}: no flag is said to be without effect that has one`, () => {
    const denied = table.filter(
      ({ inert, names }) => inert !== undefined && names.some((name) => seen.has(name)),
    )
    assert.deepEqual(denied, [])
  })
}

test('what is expected of the lines of a row is not the same for all', () => {
  for (const { flag, cases } of ROWS)
    assert.ok(new Set(cases.map(([, expected]) => JSON.stringify(expected))).size > 1, flag)
})
