// One question to all workers: caches flushed, loads, metrics, an answer that only one of them has.
import type { Core } from '../../core.ts'
import { askWorker, type Question } from '../../discovery/ask.ts'
import { baseOf, type Backend } from './fleet.ts'

/** Milliseconds that each may take, and how many are asked at once. */
const PATIENCE = 5000
const AT_ONCE = 32

export interface Answered {
  readonly backend: Backend
  /** 0: no answer came. */
  readonly status: number
  readonly text: string
}

/** Asks all, so many at once; in their order. Ranks of one server are asked once. */
export async function askAll(
  { host }: Core,
  backends: readonly Backend[],
  question: Omit<Question, 'timeout'>,
): Promise<Answered[]> {
  const answers: Answered[] = []
  const servers = [...new Map(backends.map((backend) => [baseOf(backend.url), backend])).values()]
  for (let at = 0; at < servers.length; at += AT_ONCE) {
    const some = servers.slice(at, at + AT_ONCE)
    const asked = await Promise.all(
      some.map(async (backend): Promise<Answered> => {
        const reply = await askWorker(host, backend.ref, { ...question, timeout: PATIENCE })
        return { backend, status: reply.status, text: 'text' in reply ? reply.text : '' }
      }),
    )
    answers.push(...asked)
  }
  return answers
}

export const isGood = ({ status }: Answered): boolean => status >= 200 && status <= 299

/** Empties the caches of all; the pool then knows. */
export async function flushAll(core: Core, backends: readonly Backend[]): Promise<Answered[]> {
  const answers = await askAll(core, backends, { method: 'POST', path: '/flush_cache' })
  await core.host.pool('main').forget(null)
  return answers
}

/** Loads in their measure: SGLang's tokens of all ranks (`/get_load`), else what the pool knows; -1: unknown. */
export async function loadsOf(core: Core, backends: readonly Backend[]): Promise<readonly number[]> {
  const answers = await askAll(core, backends, { method: 'GET', path: '/get_load' })
  const told = new Map(answers.map((answer) => [baseOf(answer.backend.url), toldLoad(answer)]))
  return backends.map((backend) => told.get(baseOf(backend.url)) ?? knownLoad(backend))
}

/** Sum of `num_tokens` over a list, or `load` of an object. */
function toldLoad(answer: Answered): number | null {
  if (!isGood(answer)) return null
  const value = parsed(answer.text)
  if (Array.isArray(value)) return value.reduce((sum: number, rank) => sum + countOf(rank, 'num_tokens'), 0)
  const load = (value as { load?: unknown } | null)?.load
  return typeof load === 'number' ? load : null
}

function knownLoad({ seat }: Backend): number {
  const load = seat?.load
  if (!load) return -1
  return load.used_tokens ?? (load.running ?? 0) + (load.waiting ?? 0)
}

const countOf = (value: unknown, key: string): number => {
  const found = (value as Record<string, unknown> | null)?.[key]
  return typeof found === 'number' ? found : 0
}

/** JSON, or null where it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // What is no JSON tells nothing here.
    return null
  }
}

/** The name in a sample, or in what is said about it. */
const NAME = /^(?:# (?:HELP|TYPE) )?[a-zA-Z_:][a-zA-Z0-9_:]*/
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?(\s.*)$/

/**
 * Metrics of several workers as one text: each sample gets the label `worker_addr`, families stand together. Names are written as
 * the original writes them, `sglang_num_queue_reqs` for `sglang:num_queue_reqs`.
 */
export function mergeMetrics(answers: readonly Answered[]): string {
  const families = new Map<string, { head: string[]; samples: string[] }>()
  for (const { backend, text } of answers) {
    let current = ''
    for (const raw of text.split('\n')) {
      const line = raw.replace(NAME, (name) => name.replaceAll(':', '_'))
      const about = /^# (?:HELP|TYPE) (\S+)/.exec(line)
      if (about) current = about[1] as string
      const sample = line.startsWith('#') ? null : SAMPLE.exec(line)
      if (!about && !sample) continue
      const name = about || isPart(sample?.[1] ?? '', current) ? current : (sample?.[1] ?? '')
      const family = families.get(name) ?? { head: [], samples: [] }
      families.set(name, family)
      if (about && !family.head.some((one) => one.split(' ')[1] === line.split(' ')[1]))
        family.head.push(line)
      if (sample) family.samples.push(labelled(sample, baseOf(backend.url)))
    }
  }
  return [...families.values()].flatMap(({ head, samples }) => [...head, ...samples, '']).join('\n')
}

const isPart = (name: string, family: string): boolean =>
  family !== '' &&
  (name === family || /^_(?:bucket|sum|count|total|created)$/.test(name.slice(family.length)))

function labelled([, name = '', labels = '', rest = '']: RegExpExecArray, url: string): string {
  const address = `worker_addr="${url.replace(/["\\\n]/g, '\\$&')}"`
  return `${name}{${labels === '' ? '' : `${labels.replace(/,\s*$/, '')},`}${address}}${rest}`
}
