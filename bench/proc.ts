// CPU time and memory of a process and all its descendants, from /proc (Linux).
import { readdirSync, readFileSync } from 'node:fs'

/** CPU ns of each thread at one moment, and the same total in the kernel's 10 ms ticks. */
export interface CpuSample {
  readonly threads: ReadonlyMap<string, number>
  /** ns, exact to one tick; counts threads that have ended too. */
  readonly coarse: number
}

const tick = 10_000_000

/** Reads the CPU time that the tree below `pid` has used so far. */
export function readCpu(pid: number): CpuSample {
  const threads = new Map<string, number>()
  let coarse = 0
  for (const process of tree(pid)) {
    const stat = read(`/proc/${process}/stat`)
    // The name in parentheses may hold spaces: fields are counted from its end. utime and stime are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    coarse += (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * tick
    for (const task of list(`/proc/${process}/task`)) {
      threads.set(task, Number(read(`/proc/${process}/task/${task}/schedstat`).split(' ')[0] || 0))
    }
  }
  return { threads, coarse }
}

/** ns of CPU between two samples; falls back to ticks when a thread ended in between and took its exact figure along. */
export function cpuBetween(before: CpuSample, after: CpuSample): number {
  let total = 0
  for (const [task, ns] of after.threads) total += ns - (before.threads.get(task) ?? 0)
  const hasLost = [...before.threads.keys()].some((task) => !after.threads.has(task))
  return hasLost ? after.coarse - before.coarse : total
}

/** ns that the main thread of a process was ready to run and had no core. */
export function readReady(pid: number): number {
  return Number(read(`/proc/${pid}/task/${pid}/schedstat`).split(' ')[1] ?? 0)
}

/** What the kernel counted for a process and its threads since it began. */
export interface Counts {
  /** Pages that it gave when they were touched first. */
  readonly faults: number
  /** Times that a thread waited, and that it was made to. */
  readonly waits: number
  readonly preempted: number
  /** CPU µs in its own code and in the kernel, exact to a tick of 10 ms. */
  readonly user: number
  readonly system: number
}

export function readCounts(pid: number): Counts {
  const stat = read(`/proc/${pid}/stat`)
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  let waits = 0
  let preempted = 0
  for (const task of list(`/proc/${pid}/task`)) {
    const status = read(`/proc/${pid}/task/${task}/status`)
    waits += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0)
    preempted += Number(/^nonvoluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0)
  }
  const [user = 0, system = 0] = [fields[11], fields[12]].map((ticks) => (Number(ticks) * tick) / 1000)
  return { faults: Number(fields[7]), waits, preempted, user, system }
}

export function countsBetween(before: Counts, after: Counts): Counts {
  return Object.fromEntries(
    Object.entries(after).map(([name, count]) => [name, count - before[name as keyof Counts]]),
  ) as unknown as Counts
}

/** Resident memory of the tree below `pid`, MiB. */
export function readRss(pid: number): number {
  let kib = 0
  for (const process of tree(pid))
    kib += Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${process}/status`))?.[1] ?? 0)
  return kib / 1024
}

function tree(pid: number): number[] {
  const found = [pid]
  for (const parent of found) {
    for (const task of list(`/proc/${parent}/task`)) {
      const children = read(`/proc/${parent}/task/${task}/children`).trim()
      if (children !== '') found.push(...children.split(' ').map(Number))
    }
  }
  return found
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    // A process or thread may end between listing and reading.
    return ''
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    // As above.
    return []
  }
}
