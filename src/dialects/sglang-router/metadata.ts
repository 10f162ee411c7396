// What the SGLang router shows of a worker besides its URL: asked of the engine when somebody looks, and kept for a while.
import type { Core } from '../../core.ts'
import { askWorker } from '../../discovery/ask.ts'
import { parsed } from '../gateway/fan-out.ts'
import { baseOf, type Backend } from '../gateway/fleet.ts'

export type Labels = Readonly<Record<string, string>>

/** How long an answer, or its absence, is kept, ms. */
const KEPT = 60_000
const KEPT_ABSENCE = 5000
/** How long one question may take: nobody waits longer for a list. */
const PATIENCE = 2000

/** By each endpoint's names, the newer one first; and what is taken from it (keys of the engine's are in it, too). */
const QUESTIONS = [
  {
    paths: ['/server_info', '/get_server_info'],
    names: [
      'model_path',
      'served_model_name',
      'tp_size',
      'dp_size',
      'disaggregation_mode',
      'load_balance_method',
    ],
  },
  { paths: ['/model_info', '/get_model_info'], names: ['model_type', 'architectures'] },
] as const

interface Kept {
  readonly labels: Promise<Labels>
  until: number
}

export class Metadata {
  readonly #kept = new Map<string, Kept>()

  /** Of each worker that is well, in their order; those of others are as they were told last, or empty. */
  of(core: Core, backends: readonly Backend[]): Promise<Labels[]> {
    const urls = new Set(backends.map(({ url }) => baseOf(url)))
    for (const url of this.#kept.keys()) if (!urls.has(url)) this.#kept.delete(url)
    return Promise.all(backends.map((backend) => this.#find(core, backend)))
  }

  async #find(core: Core, backend: Backend): Promise<Labels> {
    const url = baseOf(backend.url)
    const now = core.host.now()
    const kept = this.#kept.get(url)
    if (kept && (now < kept.until || !backend.isHealthy)) return kept.labels
    if (!backend.isHealthy) return {}
    const mine: Kept = { labels: asked(core, backend), until: now + KEPT }
    this.#kept.set(url, mine)
    const labels = await mine.labels
    if (Object.keys(labels).length === 0) mine.until = now + KEPT_ABSENCE
    return labels
  }
}

async function asked(core: Core, { ref }: Backend): Promise<Labels> {
  const parts = await Promise.all(
    QUESTIONS.map(async ({ paths, names }) => {
      for (const path of paths) {
        const reply = await askWorker(core.host, ref, { method: 'GET', path, timeout: PATIENCE })
        if (!('text' in reply)) return {}
        if (reply.status === 200) return taken(parsed(reply.text), names)
      }
      return {}
    }),
  )
  return Object.assign({}, ...parts) as Labels
}

/** All are texts there, lists as JSON. */
function taken(value: unknown, names: readonly string[]): Labels {
  if (typeof value !== 'object' || value === null) return {}
  const told = value as Readonly<Record<string, unknown>>
  const pairs = names.flatMap((name) => {
    const one = told[name]
    if (one === undefined || one === null) return []
    return [[name, typeof one === 'object' ? JSON.stringify(one) : String(one as string)] as const]
  })
  return Object.fromEntries(pairs)
}
