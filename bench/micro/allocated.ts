// Counts the bytes that a piece of work allocates on V8's heap: the same on any machine, whatever else runs there.
import { setFlagsFromString, getHeapStatistics } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/**
 * Bytes that `work` allocates: the median over batches. A batch must fit into the young generation: one within which V8 collected
 * garbage counts for nothing, and its figure is out of line.
 */
export async function allocatedBy(work: () => Promise<unknown>, batches = 15): Promise<number> {
  const figures: number[] = []
  for (let batch = 0; batch < batches; batch++) {
    collect()
    const before = getHeapStatistics().used_heap_size
    await work()
    figures.push(getHeapStatistics().used_heap_size - before)
  }
  return figures.toSorted((a, b) => a - b)[batches >> 1]!
}
