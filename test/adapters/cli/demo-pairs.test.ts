import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Program } from './_process.ts'

describe('demo --pd', () => {
  for (const engine of ['vllm', 'sglang', 'lmdeploy'])
    it(`${engine}: no request is lost though a prefill engine is killed`, { timeout: 60_000 }, async () => {
      const directory = await mkdtemp(join(tmpdir(), 'fetchway-demo-'))
      try {
        const argv = ['demo', '--pd', engine, '--once', '--seconds', '1.5', '--clients', '6', '--port', '0']
        const demo = new Program(argv, directory)
        assert.equal(await demo.ended, 0, demo.output)
        assert.match(
          demo.output,
          new RegExp(`^${engine}-prefill-1 is killed with \\d+ calls in flight$`, 'm'),
        )
        assert.match(demo.output, / · 0 failed · /)
        assert.match(
          demo.output,
          new RegExp(`handed over: ${engine}-prefill-1 \\d+, ${engine}-prefill-2 [1-9]`),
        )
        assert.match(demo.output, new RegExp(`^${engine}-decode-2 .* [1-9]\\d* `, 'm'))
      } finally {
        await rm(directory, { recursive: true, force: true })
      }
    })
})
