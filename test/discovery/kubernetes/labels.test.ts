import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { common, matches, parseSelector } from '../../../src/discovery/kubernetes/labels.ts'

describe('a label selector', () => {
  const labels = { app: 'vllm', tier: 'gpu', 'example.com/zone': 'a', empty: '' }
  const cases: readonly [string, boolean][] = [
    ['app=vllm', true],
    ['app==vllm', true],
    ['app = vllm', true],
    ['app=sglang', false],
    ['app!=sglang', true],
    ['app!=vllm', false],
    ['absent!=x', true],
    ['absent=x', false],
    ['app=vllm,tier=gpu', true],
    ['app=vllm,tier=cpu', false],
    ['app in (sglang, vllm),tier=gpu', true],
    ['app in (sglang)', false],
    ['app notin (sglang)', true],
    ['absent notin (a,b)', true],
    ['tier', true],
    ['!tier', false],
    ['!absent', true],
    ['example.com/zone=a', true],
    ['empty=', true],
    ['toString', false],
    ['*', true],
  ]
  for (const [text, expected] of cases)
    it(`${text}: ${expected ? 'matches' : 'does not match'}`, () => {
      assert.equal(matches(parseSelector(text), labels), expected)
    })

  it('that needs a label does not match a pod without any', () => {
    assert.equal(matches(parseSelector('app=vllm'), undefined), false)
  })

  for (const [text, message] of [
    ['', /empty selector matches nothing/],
    [' ', /empty selector matches nothing/],
    ['app=vllm,', /"" is no label/],
    ['-app=x', /no label/],
    ['app=a b', /no label/],
    ['a/b/c=x', /no label/],
    ['app=vllm;x', /can't be the value/],
    ['UPPER.com/x=y', /no label/],
  ] as const)
    it(`can't be ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseSelector(text), message)
    })

  it('is asked of the server in its own words', () => {
    assert.equal(parseSelector('app == vllm , tier in (a , b),!old').text, 'app=vllm,tier in (a,b),!old')
    assert.equal(parseSelector('*').text, '')
  })

  it('of several roles is narrowed by what they have in common', () => {
    const prefill = parseSelector('app=vllm,part=prefill')
    const decode = parseSelector('part=decode,app=vllm')
    assert.equal(common([prefill, decode]), 'app=vllm')
    assert.equal(common([prefill, parseSelector('*')]), '')
    assert.equal(common([prefill]), 'app=vllm,part=prefill')
  })
})
