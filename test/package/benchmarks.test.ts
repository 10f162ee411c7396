// What benchmarks stand on that nothing else would notice to be gone: they are run by hand.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { deciderCommand } from '../../bench/decider.ts'
import { serveCommand } from '../../bench/workerd.ts'

const folder = mkdtempSync(join(tmpdir(), 'benchmarks-'))
after(() => rmSync(folder, { recursive: true }))

test('the Worker of decisions and shards has all objects that it is served with', () => {
  assert.equal(deciderCommand(folder, 1, {}).at(-1), join(folder, 'config.capnp'))
})

test('a Worker that lacks an object is told of, not served', () => {
  const entry = join(import.meta.dirname, '../../adapters/workers.ts')
  const objects = { POOL: 'FetchwayPool', NOTHING: 'Nothing' }
  const serve = () => serveCommand({ port: 1, folder, entry, variables: {}, objects })
  assert.throws(serve, /workers\.ts does not export Nothing$/)
})
