// Which pods are workers, and what each is: decided anew from all pods whenever one has changed.
import type { Config, WorkerSpec } from '../../config/schema.ts'
import type { Wanted } from '../source.ts'
import { matches, parseSelector, type Selector } from './labels.ts'
import { uidOf, type Pod } from './objects.ts'

type Role = WorkerSpec['role']

/** What makes a pod a worker. */
export interface PodRules {
  /** The first that a pod matches gives it its role. */
  readonly roles: readonly { readonly role: Role; readonly selector: Selector }[]
  /** Those that match get no new calls; absent: nobody is left out so. */
  readonly drain?: Selector
  /** A number, or the name of a container's port. */
  readonly port: number | string
  readonly bootstrapAnnotations: readonly string[]
  readonly modelFrom: string
  readonly notReady: Config['kubernetesNotReady']
  readonly headers: Readonly<Record<string, string>>
}

/** The rules of a configuration. */
export function podRules(config: Config): PodRules {
  const written: readonly [Role, string | undefined][] = [
    ['prefill', config.kubernetesPrefillSelector],
    ['decode', config.kubernetesDecodeSelector],
    ['mixed', config.kubernetesSelector],
  ]
  const { kubernetesDrainSelector: drain } = config
  return {
    roles: written.flatMap(([role, text]) =>
      text === undefined ? [] : [{ role, selector: parseSelector(text) }],
    ),
    ...(drain !== undefined && { drain: parseSelector(drain) }),
    port: config.kubernetesPort,
    bootstrapAnnotations: config.kubernetesBootstrapAnnotations,
    modelFrom: config.kubernetesModelFrom,
    notReady: config.kubernetesNotReady,
    headers: config.kubernetesHeaders,
  }
}

/** Remembers which pods have been ready: one that is not yet is no worker, one that is no more may stay one. */
export class PodSet {
  readonly #rules: PodRules
  #known: ReadonlyMap<string, Wanted> = new Map()

  constructor(rules: PodRules) {
    this.#rules = rules
  }

  /** The workers among all pods of now. */
  wanted(pods: Iterable<Pod>): readonly Wanted[] {
    const next = new Map<string, Wanted>()
    for (const pod of pods) {
      const wanted = this.#judge(pod)
      if (wanted) next.set(wanted.key, wanted)
    }
    this.#known = next
    return [...next.values()]
  }

  #judge(pod: Pod): Wanted | null {
    const worker = workerOf(pod, this.#rules)
    if (!worker) return null
    const isKnown = this.#known.has(worker.key)
    // Its streams may finish; the pod itself goes when they have, or when its time is over.
    if (pod.metadata?.deletionTimestamp) return isKnown ? { ...worker, draining: true } : null
    const { notReady, drain } = this.#rules
    if (isReady(pod))
      return drain && matches(drain, pod.metadata?.labels) ? { ...worker, draining: true } : worker
    if (!isKnown || notReady === 'remove') return null
    return { ...worker, draining: notReady === 'drain' }
  }
}

/** The worker that a pod is once it is ready; null: it is none. */
function workerOf(pod: Pod, rules: PodRules): Wanted | null {
  const { metadata, status } = pod
  const role = rules.roles.find(({ selector }) => matches(selector, metadata?.labels))?.role
  if (role === undefined || !status?.podIP || hasEnded(pod)) return null
  const port = portOf(pod, rules.port)
  if (port === null) return null
  const url = `http://${status.podIP.includes(':') ? `[${status.podIP}]` : status.podIP}:${port}`
  const model = modelOf(pod, rules.modelFrom)
  const bootstrapPort = role === 'prefill' ? bootstrapPortOf(pod, rules.bootstrapAnnotations) : null
  return {
    key: `${uidOf(pod)} ${url} ${role}`,
    spec: {
      url,
      role,
      weight: 1,
      labels: labelsOf(pod),
      ...(model !== null && { models: [model] }),
      ...(bootstrapPort !== null && { bootstrapPort }),
      ...(Object.keys(rules.headers).length > 0 && { headers: rules.headers }),
    },
    draining: false,
  }
}

const hasEnded = ({ status }: Pod): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed'

/** By its Ready condition; a server that tells none is taken by its containers. */
function isReady({ status }: Pod): boolean {
  if (status?.phase !== undefined && status.phase !== 'Running') return false
  const condition = status?.conditions?.find(({ type }) => type === 'Ready')
  if (condition) return condition.status === 'True'
  const containers = status?.containerStatuses ?? []
  return containers.length > 0 && containers.every(({ ready }) => ready === true)
}

function portOf({ spec }: Pod, wanted: number | string): number | null {
  if (typeof wanted === 'number') return wanted
  const ports = (spec?.containers ?? []).flatMap(({ ports }) => ports ?? [])
  return ports.find(({ name }) => name === wanted)?.containerPort ?? null
}

/** The first of the annotations that is a port. */
function bootstrapPortOf({ metadata }: Pod, names: readonly string[]): number | null {
  for (const name of names) {
    const text = metadata?.annotations?.[name]?.trim() ?? ''
    const port = Number(text)
    if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65535) return port
  }
  return null
}

/** `namespace`, `label:KEY` or `annotation:KEY`; null: the worker is asked. */
function modelOf({ metadata }: Pod, from: string): string | null {
  const key = from.slice(from.indexOf(':') + 1)
  const value = from.startsWith('label:')
    ? metadata?.labels?.[key]
    : from.startsWith('annotation:')
      ? metadata?.annotations?.[key]
      : from === 'namespace'
        ? metadata?.namespace
        : undefined
  return value === undefined || value === '' ? null : value
}

/** The pod's own, and where it is, in OpenTelemetry's words. */
function labelsOf({ metadata, spec }: Pod): Record<string, string> {
  return {
    ...metadata?.labels,
    ...(metadata?.name && { 'k8s.pod.name': metadata.name }),
    ...(metadata?.uid && { 'k8s.pod.uid': metadata.uid }),
    ...(metadata?.namespace && { 'k8s.namespace.name': metadata.namespace }),
    ...(spec?.nodeName && { 'k8s.node.name': spec.nodeName }),
  }
}
