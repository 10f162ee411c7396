// Settings that are right by themselves and cannot work together.
import type { Path } from './issues.ts'
import type { Config } from './schema.ts'
import { parsePrefill } from './urls.ts'

/** A conflict, told at the place of `path`. */
export interface Conflict {
  readonly path: Path
  readonly message: string
}

export type Check = (config: Config, isSet: (key: keyof Config) => boolean) => readonly (Conflict | false)[]

/**
 * All conflicts of a configuration.
 * @param isSet whether a key was written somewhere, in contrast to its default
 * @param more what is checked besides, first
 */
export function findConflicts(
  config: Config,
  isSet: (key: keyof Config) => boolean,
  more: readonly Check[] = [],
): readonly Conflict[] {
  return [...more, ...CHECKS]
    .flatMap((check) => check(config, isSet))
    .filter((conflict) => conflict !== false)
}

const MAY_BEGIN_HALF: ReadonlySet<string> = new Set(['sglang-router', 'vllm-router', 'production-stack'])

const fleet: Check = (config) => {
  const hasPrefill =
    config.prefill.length > 0 ||
    config.workers.some((worker) => worker.role === 'prefill') ||
    config.kubernetesPrefillSelector !== undefined
  const hasDecode =
    config.decode.length > 0 ||
    config.workers.some((worker) => worker.role === 'decode') ||
    config.kubernetesDecodeSelector !== undefined
  // As those routers do: the other half may come while they run.
  const mayBeginHalf = MAY_BEGIN_HALF.has(config.dialect ?? '')
  return [
    !mayBeginHalf &&
      hasPrefill &&
      !hasDecode &&
      conflict(
        whereOf(config, 'prefill'),
        'prefill workers need decode workers too: give at least one decode URL',
      ),
    !mayBeginHalf &&
      hasDecode &&
      !hasPrefill &&
      conflict(
        whereOf(config, 'decode'),
        'decode workers need prefill workers too: give at least one prefill URL',
      ),
    ...duplicates(config),
  ]
}

/** The key that brings workers of a role. */
function whereOf(config: Config, role: 'prefill' | 'decode'): keyof Config {
  if (config[role].length > 0) return role
  if (config.workers.some((worker) => worker.role === role)) return 'workers'
  return role === 'prefill' ? 'kubernetesPrefillSelector' : 'kubernetesDecodeSelector'
}

function duplicates(config: Config): Conflict[] {
  const places: { path: Path; url: string }[] = [
    ...config.workers.map(({ url }, index) => ({ path: ['workers', index] as Path, url })),
    ...config.prefill.map((text, index) => ({
      path: ['prefill', index] as Path,
      url: parsePrefill(text).url,
    })),
    ...config.decode.map((url, index) => ({ path: ['decode', index] as Path, url })),
  ]
  const seen = new Map<string, Path>()
  return places.flatMap(({ path, url }) => {
    const first = seen.get(url)
    seen.set(url, first ?? path)
    if (!first) return []
    const where = first[0] === path[0] ? '' : ` (in ${String(first[0])} too)`
    return [{ path, message: `${url} is given twice${where}: leave one out` }]
  })
}

const aliases: Check = (config) =>
  Object.entries(config.aliases).map(([name, model]) => {
    const path: Path = ['aliases', name]
    if (name === model)
      return { path, message: `${JSON.stringify(name)} points at itself: name the model that workers serve` }
    if (!Object.hasOwn(config.aliases, model)) return false
    return {
      path,
      message: `${JSON.stringify(name)} points at ${JSON.stringify(model)}, an alias itself: name the model that workers serve`,
    }
  })

const keys: Check = (config) => {
  const seen = new Set<string>()
  return config.apiKeys.map(({ key }, index) => {
    const isTwice = seen.has(key)
    seen.add(key)
    return isTwice && { path: ['apiKeys', index], message: 'the same key is given twice: leave one out' }
  })
}

const recovery: Check = (config, isSet) => [
  config.retries > 0 &&
    config.retryMaxDelay < config.retryDelay &&
    (isSet('retryMaxDelay')
      ? conflict(
          'retryMaxDelay',
          `is shorter than retryDelay (${config.retryDelay} ms): make it longer, or retryDelay shorter`,
        )
      : conflict(
          'retryDelay',
          `is longer than retryMaxDelay (${config.retryMaxDelay} ms): make it shorter, or retryMaxDelay longer`,
        )),
  config.breakerFailures > 0 &&
    config.breakerSuccesses === 0 &&
    conflict(
      'breakerSuccesses',
      'would never close an open breaker: take 1 or more, or breakerFailures 0 for no breaker',
    ),
  config.breakerFailures > 0 &&
    config.breakerWindow === 0 &&
    conflict(
      'breakerWindow',
      'must be longer than nothing: no failure would ever count; breakerFailures 0 means no breaker',
    ),
  !/^\/[\x21-\x7e]*$/.test(config.healthPath) &&
    conflict('healthPath', `must begin with /, got ${JSON.stringify(config.healthPath)}`),
  config.healthInterval > 0 &&
    config.healthTimeout === 0 &&
    conflict(
      'healthTimeout',
      'must not be off while healthInterval is on: a silent worker would never be noticed',
    ),
]

/** What stands beside the other: neither means anything alone. */
const TOGETHER: readonly (readonly [keyof Config, keyof Config])[] = [
  ['workerTlsCert', 'workerTlsKey'],
  ['workerTlsKey', 'workerTlsCert'],
  ['jwtAudience', 'jwtIssuer'],
  ['jwtJwksUri', 'jwtIssuer'],
]

const guarding: Check = (config) =>
  TOGETHER.map(
    ([one, other]) =>
      config[one] !== undefined && config[other] === undefined && conflict(one, `needs ${other} too`),
  )

const binding: Check = (config) => [
  config.binding === 'late' &&
    config.policy !== 'least_cost' &&
    conflict(
      'binding',
      `late needs the policy least_cost: ${config.policy} chooses calls' workers as they come`,
    ),
]

const SELECTORS = ['kubernetesSelector', 'kubernetesPrefillSelector', 'kubernetesDecodeSelector'] as const

const discovery: Check = (config) => {
  const given = SELECTORS.filter((key) => config[key] !== undefined)
  if (!config.discover.includes('kubernetes'))
    return given.map((key) => conflict(key, 'has no effect: set discover to kubernetes, too'))
  const pairs = given.filter((key) => key !== 'kubernetesSelector')
  const isByService = config.kubernetesTarget === 'services'
  return [
    given.length === 0 &&
      conflict('discover', 'kubernetes needs kubernetesSelector: the labels of the pods that are workers'),
    ...pairs.map((key) => isByService && conflict(key, 'cannot go with kubernetesTarget services')),
    config.kubernetesApi !== undefined &&
      config.kubeconfig !== undefined &&
      conflict('kubeconfig', 'cannot go with kubernetesApi: leave one of them out'),
  ]
}

const sharing: Check = ({ poolShards, peers, leader, adminKey }) => [
  poolShards > 1 &&
    (peers.length > 0 || leader !== undefined) &&
    conflict('poolShards', 'cannot go with peers or leader: shards serve one router'),
  peers.length > 0 &&
    adminKey === undefined &&
    conflict('peers', 'needs adminKey: routers know each other by it'),
  leader !== undefined &&
    adminKey === undefined &&
    conflict('leader', 'needs adminKey: routers know each other by it'),
]

const CHECKS: readonly Check[] = [sharing, discovery, binding, guarding, fleet, aliases, keys, recovery]

/** One of a key as a whole. */
export const conflict = (key: keyof Config, message: string): Conflict => ({ path: [key], message })
