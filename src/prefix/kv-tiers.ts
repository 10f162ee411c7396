// Where KV blocks lie that are not on the GPU, by what engines call it: host memory, disks, or whatever is elsewhere.
export type KvTier = 'host' | 'external' | 'disk'

/** From the nearest to the farthest. */
export const TIERS: readonly KvTier[] = ['host', 'external', 'disk']

/** The tier of a medium as events name it, upper case: `CPU`, `CPU_PINNED`, `DISK`, … */
export function tierOf(medium: string): KvTier {
  if (/^(?:CPU|HOST|DRAM|RAM)/.test(medium)) return 'host'
  return /^(?:DISK|SSD|NVME|FILE|FS|STORAGE|LOCAL)/.test(medium) ? 'disk' : 'external'
}

/** Under what the view keeps what a worker has in that tier or nearer. */
export const tierId = (workerId: string, tier: KvTier): string => `${workerId}\0${tier}`
