import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

/**
 * Bytes that the handler may allocate for a request, everything switched on. What was seen last, and about 3 %: 1 KB more must not
 * pass. Who adds to a request on purpose writes the new figure here.
 */
const LIMITS: Readonly<Record<string, number>> = {
  '1 KB JSON': 18_500,
  '16 KB JSON': 37_100,
  'SSE 64 events': 36_450,
}

const script = join(import.meta.dirname, '../bench/micro/handler-bytes.ts')
/** Without compilers the figure is the same on any machine, within 0.1 %: what they leave out depends on how warm they are. */
const flags = ['--no-opt', '--no-maglev', '--no-sparkplug', '--max-semi-space-size=64']
/** Another V8 lays its objects out in another way. */
const isOther = !process.version.startsWith('v24.')

async function measure(...args: readonly string[]): Promise<Record<string, number>> {
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, script, ...args])
  return JSON.parse(stdout) as Record<string, number>
}

test(
  'a request allocates no more than it did',
  { skip: isOther && 'figures are those of Node 24' },
  async () => {
    for (const [shape, bytes] of Object.entries(await measure()))
      assert.ok(bytes <= LIMITS[shape]!, `${shape}: ${bytes} bytes a request, ${LIMITS[shape]} allowed`)
  },
)

test(
  '1 KB more a request would be noticed',
  { skip: isOther && 'figures are those of Node 24' },
  async () => {
    for (const [shape, bytes] of Object.entries(await measure('--extra', '1024')))
      assert.ok(
        bytes > LIMITS[shape]!,
        `${shape}: ${bytes} bytes a request pass, ${LIMITS[shape]} are allowed`,
      )
  },
)
