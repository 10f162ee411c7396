// Forms of values: what they read, what they fill in, and what they find wrong, at which place.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as z from '../../src/config/form.ts'
import { configSchema } from '../../src/config/schema.ts'
import { jsonSchema } from '../../src/config/json-schema.ts'
import { members } from '../../src/config/members.ts'

const named = z.strictObject({
  name: z.string().check(z.minLength(1)),
  count: z.prefault(z.int().check(z.minimum(1), z.maximum(9)), 3),
  note: z.optional(z.string()),
})
const short = z.pipe(
  z.string(),
  z.transform((name) => ({ name })),
)
const either = z.union([z.pipe(short, named), named])

const GOOD: readonly (readonly [z.Form, unknown, unknown])[] = [
  [z.string(), '', ''],
  [z.number(), -0.5, -0.5],
  [z.int(), 2 ** 53 - 1, 2 ** 53 - 1],
  [z.boolean(), false, false],
  [z.enum(['a', 'b']), 'b', 'b'],
  [z.literal('ask'), 'ask', 'ask'],
  [z.nullable(z.int()), null, null],
  [z.array(z.prefault(z.int(), 7)), [1, undefined], [1, 7]],
  [z.record(z.string(), z.unknown()), { a: [1], b: null }, { a: [1], b: null }],
  [named, { name: 'n' }, { name: 'n', count: 3 }],
  [named, { name: 'n', count: 9, note: 'x' }, { name: 'n', count: 9, note: 'x' }],
  [either, 'n', { name: 'n', count: 3 }],
  [either, { name: 'n' }, { name: 'n', count: 3 }],
]

for (const [form, written, read] of GOOD) {
  test(`${form.definition.type} reads ${JSON.stringify(written)}`, () => {
    assert.deepEqual(form.parse(written), read)
  })
}

const BAD: readonly (readonly [z.Form, unknown, readonly (readonly [string, ...PropertyKey[]])[]])[] = [
  [z.string(), 1, [['invalid_type']]],
  [z.number(), Number.NaN, [['invalid_type']]],
  [z.number(), '1', [['invalid_type']]],
  [z.int(), 1.5, [['invalid_type']]],
  [z.int(), 2 ** 53, [['too_big']]],
  [z.int(), -(2 ** 53), [['too_small']]],
  [z.number().check(z.positive()), 0, [['too_small']]],
  [z.boolean(), 'true', [['invalid_type']]],
  [z.enum(['a', 'b']), 'c', [['invalid_value']]],
  [z.array(z.int()), { 0: 1 }, [['invalid_type']]],
  [
    z.array(z.int()),
    [1, 'x', null],
    [
      ['invalid_type', 1],
      ['invalid_type', 2],
    ],
  ],
  [z.record(z.string().check(z.minLength(1)), z.int()), { '': 1 }, [['invalid_key', '']]],
  [z.record(z.string(), z.int()), [], [['invalid_type']]],
  [
    named,
    { name: '', count: 10 },
    [
      ['too_short', 'name'],
      ['too_big', 'count'],
    ],
  ],
  [named, { nmae: 'x' }, [['invalid_type', 'name'], ['unrecognized_keys']]],
  [named, JSON.parse('{"name":"n","__proto__":1}'), [['unrecognized_keys']]],
  [z.array(either), [{ name: 'n', count: 0 }], [['too_small', 0, 'count']]],
  [z.array(either), [7], [['invalid_union', 0]]],
  [z.string().check(z.minLength(1), z.regex(/^a/, 'no a')), '', [['too_short'], ['custom']]],
]

for (const [form, written, expected] of BAD) {
  test(`${form.definition.type} finds ${JSON.stringify(expected)} in ${JSON.stringify(written)}`, () => {
    const { success, error } = form.safeParse(written)
    assert.equal(success, false)
    assert.deepEqual(
      error?.issues.map(({ code, path }) => [code, ...path]),
      expected,
    )
    assert.throws(() => form.parse(written), z.FormError)
  })
}

test('names of records are names, whatever they are', () => {
  const read = z.record(z.string(), z.int()).parse(JSON.parse('{"__proto__":1,"constructor":2}'))
  assert.deepEqual(Object.entries(read), Object.entries(JSON.parse('{"__proto__":1,"constructor":2}')))
  assert.equal(Object.getPrototypeOf(read), Object.prototype)
})

test('what stands for a missing value is not shared by those that get it', () => {
  const form = z.prefault(z.unknown(), [1])
  assert.notEqual(form.parse(undefined), form.parse(undefined))
})

test('units and checks make a form of their own', () => {
  const plain = z.string()
  const other = plain.in('size').check(z.minLength(1))
  assert.equal(other.unit, 'size')
  assert.equal(plain.unit, undefined)
  assert.equal(plain.parse(''), '')
  assert.equal(other.safeParse('').success, false)
})

test('a transformation finds faults of its own, and is not asked where there are some already', () => {
  const seen: unknown[] = []
  const form = z.pipe(
    z.string().check(z.minLength(1)),
    z.transform((text, { issues }) => {
      seen.push(text)
      issues.push({ code: 'custom', message: 'none is good', path: [] })
      return z.NEVER
    }),
  )
  assert.equal(form.safeParse('a').error?.message, 'value: none is good')
  assert.equal(form.safeParse('').success, false)
  assert.deepEqual(seen, ['a'])
})

test('editors get all words about members of objects', () => {
  const told = JSON.stringify(jsonSchema())
  for (const [of, words] of Object.entries(members))
    for (const [name, description] of Object.entries(words))
      assert.ok(
        told.includes(`${JSON.stringify(name)}:${JSON.stringify({ description }).slice(0, -1)}`),
        `${of}.${name}`,
      )
})

test('editors are told types, limits, defaults and words', () => {
  const properties = jsonSchema()['properties'] as Record<string, Record<string, unknown>>
  assert.deepEqual(properties['port'], {
    description: 'port to listen on; 0 takes a free one',
    default: 8000,
    type: 'integer',
    minimum: 0,
    maximum: 65535,
  })
  assert.deepEqual(properties['queueTimeout']?.['type'], ['string', 'number'])
  assert.equal(properties['queueTimeout']?.['x-unit'], 'duration')
  const items = properties['workers']?.['items'] as { anyOf?: Record<string, unknown>[] } | undefined
  const [text, object] = items?.anyOf ?? []
  assert.deepEqual(text, { type: 'string' })
  assert.deepEqual([object?.['required'], object?.['additionalProperties']], [['url'], false])
})

test('a configuration stays an object of fields, however many it has, for calls look at dozens of them', () => {
  setFlagsFromString('--allow-natives-syntax')
  const hasFields = runInNewContext('(object) => %HasFastProperties(object)') as (object: object) => boolean
  assert.equal(hasFields(configSchema.parse({})), true)
})
