// vLLM's load report in the headers of an answer that does not stream, when the request asked for one.
import type { Exchange } from './exchange.ts'

/** `endpoint-load-metrics-format: TEXT` or `JSON`, in any case; whatever else is asked for (BIN) gets no report, as in vLLM. */
export function loadReport({ sim, headers }: Exchange): Record<string, string> {
  const format = headers.get('endpoint-load-metrics-format')?.toUpperCase()
  if (sim.options.engine !== 'vllm' || (format !== 'TEXT' && format !== 'JSON')) return {}
  const named = {
    num_requests_waiting: float(sim.scheduler.waiting),
    kv_cache_usage_perc: float(sim.scheduler.usage),
  }
  const entries = Object.entries(named)
  const report =
    format === 'TEXT'
      ? entries.map(([name, value]) => `named_metrics.${name}=${value}`).join(', ')
      : `{"named_metrics": {${entries.map(([name, value]) => `"${name}": ${value}`).join(', ')}}}`
  return { 'endpoint-load-metrics': `${format} ${report}` }
}

/** As Python writes a float. */
const float = (value: number): string => (Number.isInteger(value) ? `${value}.0` : String(value))
