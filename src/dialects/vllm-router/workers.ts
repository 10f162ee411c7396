// Where the vLLM router's workers publish KV events.
import { urlsOf, type Settings, type Values } from '../gateway/translate.ts'

/** URLs, or objects where a worker's KV events are named (`--kv-event-source URL=ENDPOINT[,ENDPOINT…]`, one for each rank). */
export function workersOf(values: Values): readonly unknown[] {
  const events = endpointsOf(values['kv_event_source'])
  const replays = endpointsOf(values['kv_event_replay_source'])
  const model = values['kv_event_model']
  return urlsOf(values['worker_urls']).map((url) => {
    const kvEvents = events.get(bare(url))
    const kvEventsReplay = replays.get(bare(url))
    if (kvEvents === undefined && kvEventsReplay === undefined) return url
    return {
      url,
      ...(kvEvents !== undefined && { kvEvents }),
      ...(kvEventsReplay !== undefined && { kvEventsReplay }),
      ...(typeof model === 'string' && { models: [model] }),
    }
  })
}

/** Prefill workers whose KV events are named (`--pd-kv-events URL=ENDPOINT`): as objects, in place of their URLs. */
export function splitPrefills(values: Values): {
  readonly plain: unknown
  readonly told: readonly unknown[]
} {
  const events = endpointsOf(values['pd_kv_events'])
  const given = (Array.isArray(values['prefill']) ? values['prefill'] : []) as string[][]
  const told = given.flatMap(([url = '', port = 'none']) => {
    const kvEvents = events.get(bare(url))
    if (kvEvents === undefined) return []
    return [{ url, role: 'prefill', kvEvents, ...(/^\d+$/.test(port) && { bootstrapPort: Number(port) }) }]
  })
  return { plain: given.filter(([url = '']) => !events.has(bare(url))), told }
}

/** A session's affinity under kv_aware. */
export function translateKv(values: Values, settings: Settings): void {
  const idle = values['kv_aware_session_affinity_ttl_secs']
  settings.set(
    'kvSessionIdle',
    typeof idle === 'number' ? `${idle}s` : undefined,
    'kv_aware_session_affinity_ttl_secs',
  )
}

/** `URL=ENDPOINT[,ENDPOINT…]`: the lists by URL, without trailing slashes. */
function endpointsOf(value: unknown): Map<string, string> {
  const found = new Map<string, string>()
  for (const item of Array.isArray(value) ? value : []) {
    const text = String(item)
    const equals = text.indexOf('=')
    if (equals > 0) found.set(bare(text.slice(0, equals)), text.slice(equals + 1))
  }
  return found
}

const bare = (url: string): string => url.replace(/\/+$/, '')
