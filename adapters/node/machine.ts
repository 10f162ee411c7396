// How much of the machine is in use: CPU, memory and disk, in percent. Nothing here waits.
import { readFileSync, statfsSync } from 'node:fs'
import { cpus, freemem, totalmem } from 'node:os'
import type { ProcessReadings } from '../../src/metrics/process-readings.ts'

/** Ticks of all processors, since the machine began. */
interface Ticks {
  readonly idle: number
  readonly total: number
}

/** Reads it whenever it is asked; the CPU since it was asked last, and since the machine began the first time. */
export function machineReadings(): NonNullable<ProcessReadings['machine']> {
  let before: Ticks = { idle: 0, total: 0 }
  return () => {
    const now = ticks()
    const total = now.total - before.total
    const cpu = total > 0 ? percent(1 - (now.idle - before.idle) / total) : 0
    // So short a time says nothing: the next one is measured from the same point.
    if (total > 0) before = now
    const disk = diskInUse()
    return { cpu, memory: percent(1 - available() / totalmem()), ...(disk !== undefined && { disk }) }
  }
}

const percent = (share: number): number => Math.min(100, Math.max(0, Math.round(share * 1000) / 10))

function ticks(): Ticks {
  let [idle, total] = [0, 0]
  for (const { times } of cpus()) {
    idle += times.idle
    total += times.user + times.nice + times.sys + times.idle + times.irq
  }
  return { idle, total }
}

/** Bytes that a program could have: what caches hold is free, too, where the system tells. */
function available(): number {
  try {
    const told = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))
    return told ? Number(told[1]) * 1024 : freemem()
  } catch {
    return freemem()
  }
}

function diskInUse(): number | undefined {
  try {
    const { blocks, bfree, bavail } = statfsSync('/')
    const used = blocks - bfree
    // What is kept for the system's administrator is no part of it.
    return used + bavail > 0 ? percent(used / (used + bavail)) : undefined
  } catch {
    return undefined // a system without such a root
  }
}
