// The spans that production-stack's router sends of its calls: what its flags say of them, and what they are called.
import type { Core } from '../../core.ts'
import { pathname } from '../../openai/target.ts'
import { collectorUrl, type TraceRules, type Wording } from '../gateway/traces.ts'
import type { Values } from '../gateway/translate.ts'
import { optionsOf } from './options.ts'

/** The rules as options of the dialect; null: no `--otel-endpoint`, nothing is traced. */
export function tracing(values: Values): { readonly traces: TraceRules } | null {
  const endpoint = values['otel_endpoint']
  if (typeof endpoint !== 'string' || endpoint === '') return null
  return {
    traces: {
      endpoint: collectorUrl(endpoint, values['otel_secure'] === true),
      ratio: 1,
      excluded: [],
      service: String(values['otel_service_name'] as string),
    },
  }
}

/** A span of the router and, inside of it, one of the request to the engine. */
export const WORDING: Wording = {
  status: 'http.status_code',
  begins: ({ method, path, requestId, model }, url) => ({
    name: `router ${pathname(path)}`,
    attributes: {
      'http.method': method,
      'http.url': url,
      'http.target': path,
      'vllm.request_id': requestId,
      'vllm.model': model ?? '',
    },
  }),
  sent: ({ method, path, requestId, model, isStream }, backend, core: Core) => ({
    outer: { 'vllm.backend_url': backend, 'vllm.routing_logic': optionsOf(core).live.routing },
    inner: {
      name: 'process_request',
      attributes: {
        'http.method': method,
        'http.url': `${backend}${pathname(path)}`,
        'vllm.request_id': requestId,
        'vllm.model': model ?? '',
        'vllm.backend_url': backend,
        'vllm.is_streaming': isStream,
      },
    },
  }),
}
