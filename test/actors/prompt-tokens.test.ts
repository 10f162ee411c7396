import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PromptTokens } from '../../src/actors/prompt-tokens.ts'
import { ask } from './_pool.ts'

const text = (model: string | null, promptBytes: number) => ask({ model, promptBytes })
const near = (got: number, wanted: number) =>
  assert.ok(Math.abs(got / wanted - 1) < 0.05, `${got}, not ${wanted}`)

test('four bytes make a token until an engine counts', () => {
  const prompts = new PromptTokens()
  assert.equal(prompts.count(text('m', 4001), prompts.ratioOf('m')), 1001)
})

test('a prompt that was not looked at keeps its guess', () => {
  const prompts = new PromptTokens()
  assert.equal(prompts.count(ask({ promptBytes: 0, tokens: 77 }), prompts.ratioOf('m')), 77)
})

test('each model has tokens of its own length; one that is new takes what they have in common', () => {
  const prompts = new PromptTokens()
  for (let i = 0; i < 100; i++) {
    prompts.learn(text('coarse', 6000), 1000)
    prompts.learn(text('fine', 2000), 1000)
  }
  near(prompts.ratioOf('coarse'), 6)
  near(prompts.ratioOf('fine'), 2)
  near(prompts.ratioOf('new'), 4)
  near(prompts.ratioOf(null), 4)
})

test('long prompts count for more than short ones, whose template weighs in', () => {
  const prompts = new PromptTokens()
  for (let i = 0; i < 100; i++) {
    prompts.learn(text('m', 40_000), 10_000)
    prompts.learn(text('m', 40), 30)
  }
  near(prompts.ratioOf('m'), 4)
})

test('a count that can not be of that text is passed over', () => {
  const prompts = new PromptTokens()
  for (const [bytes, tokens] of [
    [1000, 0],
    [0, 1000],
    [1000, 1_000_000],
    [1_000_000, 1],
    [1000, NaN],
  ] as const)
    prompts.learn(text('m', bytes), tokens)
  assert.equal(prompts.ratioOf('m'), 4)
})

test('names of models that clients make up are not all remembered', () => {
  const prompts = new PromptTokens()
  for (let i = 0; i < 5000; i++) prompts.learn(text(`made up ${i}`, 6000), 1000)
  prompts.learn(text('last', 6000), 1000)
  assert.ok(prompts.ratioOf('last') > 4)
  assert.ok(prompts.models <= 1000)
})
