// What a command line of a dialect comes to, for tests by table.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from '../../src/config/load.ts'
import { formatIssue } from '../../src/config/issues.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Circumstances, Dialect, Translation } from '../../src/dialects/dialect.ts'
import type { GivenFlag } from '../../src/dialects/flag.ts'

/** `[flags, key of the configuration, its value by them]`; a flag's name stands for those of the same row before. */
export type Effect = readonly [flags: string, key: string, value: unknown, beside?: string]

const NOWHERE: Circumstances = {
  environment: {},
  defaults: 'readme',
  isStrict: false,
  readFile: (name) => Promise.resolve(name === 'encoders.json' ? '{"encoder_urls":["http://e:1"]}' : null),
}

export async function translated(
  dialect: Dialect,
  line: string,
  circumstances: Partial<Circumstances> = {},
): Promise<Translation> {
  const argv = line === '' ? [] : line.split(' ')
  return dialect.translate(argv, { ...NOWHERE, ...circumstances })
}

/** The configuration that a line amounts to; fails where there is none. */
export async function configOf(
  dialect: Dialect,
  line: string,
  circumstances: Partial<Circumstances> = {},
): Promise<Config> {
  const { config, problems = [] } = await translated(dialect, line, circumstances)
  assert.deepEqual(problems, [])
  const layer = [...config].map(([key, { value, name }]: [string, GivenFlag]) => {
    const place = { source: 'flag', name } as const
    return [key, { value, at: () => place }] as const
  })
  const loaded = load({ translated: new Map(layer) })
  assert.deepEqual(loaded.issues.map(formatIssue), [])
  assert.ok(loaded.config)
  return loaded.config
}

/**
 * Every flag that is not known to be without effect changes something in the configuration or in what the endpoints go by;
 * `elsewhere`: those that other tests look at.
 */
export function testEffects(
  dialect: Dialect,
  effects: readonly Effect[],
  elsewhere: readonly string[] = [],
): void {
  for (const [flags, key, expected, beside = ''] of effects)
    test(`${dialect.name}: ${flags} sets ${key}`, async () => {
      const line = (one: string) => `${beside} ${one}`.trim()
      const [without, withIt] = await Promise.all([look(dialect, line('')), look(dialect, line(flags))])
      assert.deepEqual(withIt[key], expected)
      assert.notDeepEqual(withIt[key], without[key], 'it changes nothing')
    })

  test(`${dialect.name}: each flag that has an effect is tested for it`, () => {
    const given = effects.flatMap(([flags]) => flags.split(' ').map((word) => word.split('=')[0]))
    const tested = new Set([...given, ...elsewhere])
    const untested = dialect
      .flags([])
      .filter(({ inert, names }) => inert === undefined && !names.some((name) => tested.has(name)))
    assert.deepEqual(
      untested.map(({ names }) => names[0]),
      [],
    )
  })
}

/** The configuration, with the options of the dialect under `options.NAME`, and their parts under `options.NAME.PART`. */
async function look(dialect: Dialect, line: string): Promise<Record<string, unknown>> {
  const { options = {} } = await translated(dialect, line)
  const own = Object.entries(options).map(([name, value]) => [`options.${name}`, value])
  const parts = Object.entries(options).flatMap(([name, value]) =>
    typeof value === 'object' && value !== null
      ? Object.entries(value).map(([part, one]) => [`options.${name}.${part}`, one])
      : [],
  )
  return { ...(await configOf(dialect, line)), ...Object.fromEntries([...own, ...parts]) }
}

/** What traces are sent by. */
export const traced = (service: string, given: object): object => ({
  endpoint: 'http://localhost:4318',
  ratio: 1,
  excluded: [],
  service,
  ...given,
})
