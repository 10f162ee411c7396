import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Float, floatText, pythonJson, reprText } from '../../../src/dialects/python/text.ts'

for (const [value, text] of [
  [1, '1.0'],
  [0, '0.0'],
  [0.7, '0.7'],
  [-2.5, '-2.5'],
  [1e16, '1e+16'],
  [1e15, '1000000000000000.0'],
  [0.0001, '0.0001'],
  [0.00001, '1e-05'],
  [1.5e-7, '1.5e-07'],
  [1e22, '1e+22'],
  [Infinity, 'Infinity'],
] as const)
  test(`the float ${value} is written ${text}`, () => {
    assert.equal(floatText(value), text)
  })

test('JSON is spaced and ordered as Python does it', () => {
  const value = { b: [1, new Float(2)], a: { ü: '"x"', none: null, left: undefined } }
  assert.equal(pythonJson(value), '{"b":[1,2.0],"a":{"ü":"\\"x\\"","none":null}}')
  assert.equal(pythonJson(value, 'sorted'), '{"a": {"none": null, "ü": "\\"x\\""}, "b": [1, 2.0]}')
})

test('keys are ordered by code points, not by UTF-16 units', () => {
  assert.equal(pythonJson({ '😀': 1, '\uffee': 2 }, 'sorted'), '{"\uffee": 2, "😀": 1}')
})

for (const [text, repr] of [
  ['m', "'m'"],
  ["it's", '"it\'s"'],
  [`it's "x"`, `'it\\'s "x"'`],
  ['a\nb\\', "'a\\nb\\\\'"],
] as const)
  test(`the text ${JSON.stringify(text)} is shown as ${repr}`, () => {
    assert.equal(reprText(text), repr)
  })
