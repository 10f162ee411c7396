// What a request costs inside the handler alone, without sockets: `node bench/micro/handler.ts`. CPU and bytes allocated of each
// shape, and with `--profile SHAPE` (1, 16, 128 or sse) where they go.
import { Session, type HeapProfiler, type Profiler } from 'node:inspector'
import { parseArgs } from 'node:util'
import { allocatedBy } from './allocated.ts'
import { createRig, shapes, type Rig, type Shape } from './handler-rig.ts'

const { values: flags } = parseArgs({
  options: {
    policy: { type: 'string', default: 'least_cost,round_robin' },
    rounds: { type: 'string', default: '7' },
    requests: { type: 'string', default: '3000' },
    profile: { type: 'string' },
    top: { type: 'string', default: '40' },
  },
})

const policies = flags.policy.split(',')
if (flags.profile === undefined) await measureAll()
else await profile(policies[0]!, shapeOf(flags.profile))

function shapeOf(word: string): Shape {
  return shapes.find(({ name }) => name.toLowerCase().startsWith(word.toLowerCase())) ?? shapes[0]!
}

/** Requests of a shape that cost about as much as the flag says of small ones. */
function countOf({ bytes, reply }: Shape): number {
  return Math.ceil(Number(flags.requests) / (bytes > 100_000 ? 10 : reply === 'json' ? 1 : 3))
}

async function measureAll(): Promise<void> {
  for (const policy of policies) {
    const rig = await createRig(policy)
    for (const shape of shapes) {
      const count = countOf(shape)
      await rig.sendMany(shape, count * 4)
      const cpu = await cpuOf(rig, shape, count)
      const bytes = (await allocatedBy(() => rig.sendMany(shape, 96))) / 96
      console.log(
        `${policy.padEnd(12)} ${shape.name.padEnd(14)} ${cpu.toFixed(1).padStart(7)} µs CPU  ${bytes.toFixed(0).padStart(7)} bytes`,
      )
    }
    rig.close()
  }
}

/** CPU µs of the process per request: the least of a few rounds, for what else runs on the machine only adds. */
async function cpuOf(rig: Rig, shape: Shape, count: number): Promise<number> {
  let least = Infinity
  for (let round = 0; round < Number(flags.rounds); round++) {
    const before = process.cpuUsage()
    await rig.sendMany(shape, count)
    const { user, system } = process.cpuUsage(before)
    least = Math.min(least, (user + system) / count)
  }
  return least
}

async function profile(policy: string, shape: Shape): Promise<void> {
  const rig = await createRig(policy)
  const count = countOf(shape) * 3
  await rig.sendMany(shape, count * 2)
  const session = new Session()
  session.connect()
  const run = () => rig.sendMany(shape, count)
  session.post('HeapProfiler.startSampling', {
    samplingInterval: 4096,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  } as HeapProfiler.StartSamplingParameterType)
  await run()
  session.post('HeapProfiler.stopSampling', (_, { profile: heap }) =>
    print('bytes a request', bytesByFunction(heap.head, count), ''),
  )
  session.post('Profiler.enable')
  session.post('Profiler.setSamplingInterval', { interval: 100 })
  session.post('Profiler.start')
  await run()
  session.post('Profiler.stop', (_, { profile: cpu }) => print('CPU', shareByFunction(cpu), ' %'))
  session.disconnect()
  rig.close()
}

function bytesByFunction(head: HeapProfiler.SamplingHeapProfileNode, count: number): Map<string, number> {
  const bytes = new Map<string, number>()
  const visit = (node: HeapProfiler.SamplingHeapProfileNode) => {
    const name = nameOf(node.callFrame)
    bytes.set(name, (bytes.get(name) ?? 0) + node.selfSize / count)
    node.children.forEach(visit)
  }
  visit(head)
  return bytes
}

function shareByFunction({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Map<string, number> {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const total = timeDeltas.reduce((sum, delta) => sum + delta, 0)
  const share = new Map<string, number>()
  samples.forEach((id, at) => {
    const name = names.get(id)!
    share.set(name, (share.get(name) ?? 0) + (100 * (timeDeltas[at] ?? 0)) / total)
  })
  return share
}

function nameOf({
  functionName,
  url,
  lineNumber,
}: {
  functionName: string
  url: string
  lineNumber: number
}) {
  const file = url.replace(/^.*\/(?=(?:adapters|src|bench)\/)/, '')
  return `${functionName || '(anonymous)'}${file === '' ? '' : ` ${file}:${lineNumber + 1}`}`
}

function print(title: string, figures: ReadonlyMap<string, number>, unit: string): void {
  const sum = [...figures.values()].reduce((total, figure) => total + figure, 0)
  console.log(`\n${title}: ${sum.toFixed(0)}${unit}`)
  const rows = [...figures].sort((a, b) => b[1] - a[1]).slice(0, Number(flags.top))
  for (const [name, figure] of rows) console.log(`${figure.toFixed(1).padStart(8)}${unit}  ${name}`)
}
