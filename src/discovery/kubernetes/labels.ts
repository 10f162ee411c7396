// Label selectors as Kubernetes writes them: `app=vllm,tier in (a,b),!canary`.

type Labels = Readonly<Record<string, string>>

/** One condition; all of a selector's must hold. */
interface Requirement {
  readonly key: string
  readonly isWanted: boolean
  /** Null: any value. */
  readonly values: readonly string[] | null
}

export interface Selector {
  /** In the canonical form that the API server understands, too; empty: everything. */
  readonly text: string
  readonly requirements: readonly Requirement[]
}

/** What matches everything is asked for by name, so that nobody gets it by an empty variable. */
const EVERYTHING = '*'
const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const PREFIX = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/
const SET = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/
const EQUALITY = /^([^=!\s]+)\s*(==|=|!=)\s*([^=\s]*)$/

/**
 * Reads a selector: `k=v`, `k==v`, `k!=v`, `k in (a,b)`, `k notin (a,b)`, `k`, `!k`, with commas between; `*` is everything.
 * @throws Error whose message says what to write instead
 */
export function parseSelector(text: string): Selector {
  const trimmed = text.trim()
  if (trimmed === '')
    throw new Error('an empty selector matches nothing: name a label, or write * for every pod')
  if (trimmed === EVERYTHING) return { text: '', requirements: [] }
  // Commas inside of parentheses separate values.
  const parts = trimmed.split(/,(?![^(]*\))/).map((part) => part.trim())
  const requirements = parts.map(readRequirement)
  return { text: requirements.map(write).join(','), requirements }
}

/** True when labels fulfil a selector. */
export function matches({ requirements }: Selector, labels: Labels | undefined): boolean {
  return requirements.every(({ key, isWanted, values }) => {
    const value = labels && Object.hasOwn(labels, key) ? labels[key] : undefined
    const isThere = value !== undefined && (values === null || values.includes(value))
    return isThere === isWanted
  })
}

/** What several selectors have in common, as the API server is asked for it: a pod of any of them is in it. */
export function common(selectors: readonly Selector[]): string {
  const [first, ...others] = selectors
  if (!first) return ''
  const shared = first.requirements
    .map(write)
    .filter((text) => others.every(({ requirements }) => requirements.some((one) => write(one) === text)))
  return shared.join(',')
}

function readRequirement(part: string): Requirement {
  const set = SET.exec(part)
  if (set) {
    const [, key = '', operator, list = ''] = set
    return made(
      key,
      operator === 'in',
      list.split(',').map((value) => value.trim()),
    )
  }
  const equality = EQUALITY.exec(part)
  if (equality) {
    const [, key = '', operator, value = ''] = equality
    return made(key, operator !== '!=', [value])
  }
  return part.startsWith('!') ? made(part.slice(1).trim(), false, null) : made(part, true, null)
}

function made(key: string, isWanted: boolean, values: readonly string[] | null): Requirement {
  const slash = key.lastIndexOf('/')
  if ((slash >= 0 && !PREFIX.test(key.slice(0, slash))) || !NAME.test(key.slice(slash + 1)))
    throw new Error(`${JSON.stringify(key)} is no label: write a selector like app=vllm,tier in (a,b)`)
  const wrong = values?.find((value) => value !== '' && !NAME.test(value))
  if (wrong !== undefined) throw new Error(`${JSON.stringify(wrong)} can't be the value of a label`)
  return { key, isWanted, values }
}

function write({ key, isWanted, values }: Requirement): string {
  if (values === null) return isWanted ? key : `!${key}`
  if (values.length === 1) return `${key}${isWanted ? '=' : '!='}${values[0]}`
  return `${key} ${isWanted ? 'in' : 'notin'} (${values.join(',')})`
}
