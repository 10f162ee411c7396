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

/** What kv_aware goes by. */
export function translateKv(values: Values, settings: Settings): void {
  const idle = values['kv_aware_session_affinity_ttl_secs']
  settings.set(
    'kvSessionIdle',
    typeof idle === 'number' ? `${idle}s` : undefined,
    'kv_aware_session_affinity_ttl_secs',
  )
  settings.set('kvHostWorth', values['kv_penalty_host'], 'kv_penalty_host')
  settings.set('kvExternalWorth', values['kv_penalty_external'], 'kv_penalty_external')
  settings.set('kvDiskWorth', values['kv_penalty_disk'], 'kv_penalty_disk')
  settings.set('kvBlockTokens', values['kv_event_block_size'], 'kv_event_block_size')
}

/** What --backend says of the workers: their engine; servers of OpenAI's kind are none that can be asked, and have no /health. */
export function ofBackend(workers: readonly unknown[], backend: unknown): readonly unknown[] {
  if (backend === undefined) return workers
  const engine = backend === 'openai' ? 'unknown' : backend
  return workers.map((worker) => ({
    ...(typeof worker === 'string' ? { url: worker } : (worker as object)),
    engine,
  }))
}

/** The encode workers of the file of --epd-config (`encoder_urls`), or what is wrong with it. */
export async function readEncoders(
  name: unknown,
  readFile: (name: string) => Promise<string | null>,
): Promise<{ readonly urls: readonly string[]; readonly problems: readonly string[] }> {
  if (typeof name !== 'string') return { urls: [], problems: [] }
  const text = await readFile(name)
  if (text === null) return { urls: [], problems: [`--epd-config: there is no file ${name}`] }
  try {
    const { encoder_urls: urls } = JSON.parse(text) as { encoder_urls?: unknown }
    if (Array.isArray(urls)) return { urls: urlsOf(urls), problems: [] }
  } catch {
    // What is no JSON has no list either.
  }
  return { urls: [], problems: [`--epd-config: ${name} has no list encoder_urls`] }
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
