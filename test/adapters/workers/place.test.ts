import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fetcherOf, placeOf } from '../../../adapters/workers/place.ts'
import { UpstreamFailure } from '../../../src/host.ts'

const worker = { id: 'w-1', url: 'http://gpu0:8000', engine: 'vllm', via: { binding: 'GPU0' } }

test('objects are made in the region that is named, and anywhere when none is', () => {
  assert.deepEqual(placeOf({ LOCATION_HINT: 'weur' }), { locationHint: 'weur' })
  assert.deepEqual(placeOf({}), {})
})

test('a worker with a binding is reached by that binding as it is', async () => {
  const binding = {
    name: 'gpu0',
    fetch(this: { name: string }, url: string) {
      return Promise.resolve(new Response(`${this.name} ${url}`))
    },
  }
  const answer = await fetcherOf({ GPU0: binding }, worker)('http://gpu0:8000/health', {})
  assert.equal(await answer.text(), 'gpu0 http://gpu0:8000/health')
})

test('a binding that is gone is a worker that can not be connected', () => {
  assert.throws(
    () => fetcherOf({}, worker),
    (error) => error instanceof UpstreamFailure && error.kind === 'connect',
  )
})
