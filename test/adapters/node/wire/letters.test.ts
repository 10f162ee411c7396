import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMadeOf, isName, NAME, numberOf, TARGET, VALUE } from '../../../../adapters/node/wire/letters.ts'

/** All of them, and some that are not latin1. */
const characters = [
  ...Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)),
  '\u0100',
  '\u2028',
]

/** From RFC 9110 and 9112, and with the bytes above ASCII that peers send. */
const kinds = [
  { name: 'names', kind: NAME, wanted: /^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/ },
  { name: 'values', kind: VALUE, wanted: /^[\t\x20-\x7e\x80-\xff]$/ },
  { name: 'targets', kind: TARGET, wanted: /^[\x21-\x7e\x80-\xff]$/ },
]
for (const { name, kind, wanted } of kinds)
  test(`${name} are made of what they may be, and of nothing else`, () => {
    for (const one of characters)
      assert.equal(isMadeOf(`a${one}a`, kind), wanted.test(one), JSON.stringify(one))
  })

test('an empty text is no name', () => {
  assert.equal(isName(''), false)
  assert.equal(isName('content-type'), true)
})

test('digits are the number that they say', () => {
  for (const digits of ['0', '7', '1024', '0012', '9007199254740991'])
    assert.equal(numberOf(digits), Number(digits))
})
