// Metrics of the process that the router runs in, where it has one of its own.
import type { Meter } from './prometheus.ts'

/** What the adapter can tell of its process; each is asked at render. */
export interface ProcessReadings {
  readonly residentBytes?: () => number
  readonly cpuSeconds?: () => number
  readonly loopLagSeconds?: () => number
  /** How much of the machine is in use, percent; the CPU: since it was asked last. What it can't tell is absent. */
  readonly machine?: () => { readonly cpu?: number; readonly memory?: number; readonly disk?: number }
}

/** Defines the metrics of the process, which are read when somebody asks. */
export function showProcess(
  meter: Meter,
  { residentBytes, cpuSeconds, loopLagSeconds }: ProcessReadings,
): void {
  // The two names that every Prometheus client uses, so that ready-made dashboards and alerts find them.
  if (residentBytes) {
    const series = meter.gauge('process_resident_memory_bytes', 'Resident memory of the process.', []).with()
    meter.collect(() => series.set(residentBytes()))
  }
  if (cpuSeconds) {
    const series = meter
      .counter('process_cpu_seconds_total', 'User and system CPU time of the process.', [], 'first')
      .with()
    meter.collect(() => series.set(cpuSeconds()))
  }
  if (loopLagSeconds) {
    const series = meter.gauge('fetchway_event_loop_lag_seconds', 'How late timers fire.', [], 'max').with()
    meter.collect(() => series.set(loopLagSeconds()))
  }
}
