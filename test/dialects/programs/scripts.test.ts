// The scripts that stand in for those of Distributed-LLM-Router's README run by their names.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { engine } from '../../journeys/_rig.ts'
import { engineAt } from './_running.ts'

const EXAMPLE = new URL('../../../examples/distributed-llm-router/', import.meta.url).pathname
const PROGRAM = new URL('../../../adapters/node.js', import.meta.url).pathname
const FETCHWAY = `${process.execPath} ${PROGRAM}`
const run = promisify(execFile)

const env = (more: Record<string, string> = {}) => ({ PATH: process.env['PATH'] ?? '', FETCHWAY, ...more })

test('./scripts/setup_linux.sh finds what is needed', async () => {
  const { stderr } = await run(`${EXAMPLE}scripts/setup_linux.sh`, { env: env() })
  assert.equal(stderr, '')
  const without = run(`${EXAMPLE}scripts/setup_linux.sh`, { env: env({ FETCHWAY: 'no-such-program' }) })
  await assert.rejects(without, /there is no no-such-program/)
})

test('./scripts/smoke_test.sh tells whether a router answers', async (t) => {
  const BASE_URL = await engineAt(t, engine())
  const { stdout } = await run(`${EXAMPLE}scripts/smoke_test.sh`, { env: env({ BASE_URL }) })
  assert.match(stdout, /smoke test passed/)
})
