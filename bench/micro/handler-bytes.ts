// Prints the bytes that the handler allocates for one request of each shape, as JSON. The same on any machine when it is run
// without compilers, which make fewer objects the warmer they are: `node --no-opt --no-maglev --no-sparkplug
// --max-semi-space-size=64 bench/micro/handler-bytes.ts`. `--extra BYTES`: as if somebody had added so much to each request.
import { parseArgs } from 'node:util'
import { allocatedBy } from './allocated.ts'
import { createRig, shapes } from './handler-rig.ts'

const { values: flags } = parseArgs({
  options: { policy: { type: 'string', default: 'least_cost' }, extra: { type: 'string', default: '0' } },
})

/** Requests a batch, and before the first one: tables that grow have grown by then. */
const REQUESTS = 64
const BEFORE = 192
const WORD_BYTES = 8

const rig = await createRig(flags.policy)
const words = Number(flags.extra) / WORD_BYTES
const figures: Record<string, number> = {}
for (const shape of shapes) {
  // Without compilers that one takes half a minute, and tells the same as 16 KB.
  if (shape.bytes > 100_000) continue
  await rig.sendMany(shape, BEFORE)
  const bytes = await allocatedBy(async () => {
    await rig.sendMany(shape, REQUESTS)
    for (let i = 0; words > 0 && i < REQUESTS; i++) Array.from({ length: words }).fill(i)
  }, 3)
  figures[shape.name] = Math.round(bytes / REQUESTS)
}
console.log(JSON.stringify(figures))
rig.close()
