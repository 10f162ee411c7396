import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bitsOf } from '../../src/openai/key-bits.ts'
import { withoutPdKeys } from '../../src/openai/pd-keys.ts'
import { scanTop } from '../../src/openai/scan.ts'
import { encode } from './_json.ts'

/** What clients of chats mostly send. */
const USUAL = (
  'model messages stream stream_options max_tokens temperature top_p n stop seed tool_choice ' +
  'response_format frequency_penalty presence_penalty logprobs user metadata'
).split(' ')
const RARE = (
  'lora_path cache_salt extra_key chat_template image_data video_data audio_data functions ' +
  'documents instructions system previous_response_id conversation background bootstrap_host ' +
  'bootstrap_port bootstrap_room bootstrap_pair_key disagg_prefill_dp_rank kv_transfer_params ' +
  'migration_request with_cache preserve_cache session_id priority'
).split(' ')
const bodyOf = (keys: readonly string[]) =>
  scanTop(encode(`{${keys.map((key) => `${JSON.stringify(key)}:1`).join(',')}}`))

test('the bits of a usual chat show that it has none of the rare keys', () => {
  assert.equal(bitsOf(USUAL) & bitsOf(RARE), 0)
  assert.equal(bodyOf(USUAL).mayHave(bitsOf(RARE)), false)
})

test('a key that is there is never ruled out by bits, alone or among others', () => {
  const key = fc.oneof(fc.string({ unit: 'binary', maxLength: 5 }), fc.constantFrom(...USUAL, ...RARE))
  fc.assert(
    fc.property(fc.array(key, { minLength: 1, maxLength: 8 }), fc.nat(), key, (keys, nth, other) => {
      const one = keys[nth % keys.length]!
      const top = bodyOf(keys)
      assert.ok(top.has(one))
      assert.ok(top.mayHave(bitsOf([one])))
      assert.ok(top.mayHave(bitsOf([one, other])))
    }),
  )
})

test('each key by which engines hand over is taken out, whatever stands beside it', () => {
  for (const key of RARE.filter((one) => /^(?:boot|disagg|kv_|migr|with_|preserve)/.test(one)))
    for (const keys of [[key], [...USUAL, key], [key, ...USUAL]])
      assert.deepEqual(withoutPdKeys(bodyOf(keys)), [{ kind: 'delete', key }])
})
