// Which services are workers: those that a selector matches and that have a ready address behind them.
import type { Wanted } from '../source.ts'
import { matches, type Selector } from './labels.ts'
import { uidOf, type Endpoints, type Service } from './objects.ts'
import type { PodRules } from './pods.ts'

/** What makes a service a worker. */
export interface ServiceRules {
  readonly selector: Selector
  /** The first that its own labels and those of its pods match gives it its role; none: mixed. */
  readonly roles?: PodRules['roles']
  /** A number, or the name of a port of the service. */
  readonly port: number | string
  /** Services of other namespaces have longer names. */
  readonly isNamespaced: boolean
  readonly modelFrom: string
  readonly headers: Readonly<Record<string, string>>
}

/** The workers among all services of now; each is named by its DNS name. */
export function wantedServices(
  services: Iterable<Service>,
  endpoints: Iterable<Endpoints>,
  rules: ServiceRules,
): readonly Wanted[] {
  const ready = new Set<string>()
  for (const one of endpoints) if (hasAddress(one)) ready.add(nameOf(one))
  const wanted: Wanted[] = []
  for (const service of services) {
    const { metadata } = service
    if (!matches(rules.selector, metadata?.labels) || metadata?.deletionTimestamp) continue
    const worker = ready.has(nameOf(service)) ? workerOf(service, rules) : null
    if (worker) wanted.push(worker)
  }
  return wanted
}

function workerOf(service: Service, rules: ServiceRules): Wanted | null {
  const { port, isNamespaced, modelFrom, headers, roles = [] } = rules
  const { name, namespace = '' } = service.metadata ?? {}
  const number = typeof port === 'number' ? port : service.spec?.ports?.find((one) => one.name === port)?.port
  if (!name || number === undefined) return null
  const url = `http://${name}${isNamespaced ? '' : `.${namespace}`}:${number}`
  const model = modelOf(service, modelFrom)
  // What a service selects its pods by says more of them than its own labels do.
  const labels = { ...service.metadata?.labels, ...service.spec?.selector }
  const role = roles.find(({ selector }) => matches(selector, labels))?.role ?? 'mixed'
  return {
    key: `${uidOf(service)} ${url}${role === 'mixed' ? '' : ` ${role}`}`,
    spec: {
      url,
      role,
      weight: 1,
      labels: {
        ...labels,
        'k8s.service.name': name,
        ...(namespace !== '' && { 'k8s.namespace.name': namespace }),
      },
      ...(model && { models: [model] }),
      ...(Object.keys(headers).length > 0 && { headers }),
    },
    draining: false,
  }
}

function modelOf({ metadata }: Service, from: string): string | undefined {
  const key = from.slice(from.indexOf(':') + 1)
  if (from.startsWith('label:')) return metadata?.labels?.[key]
  if (from.startsWith('annotation:')) return metadata?.annotations?.[key]
  return from === 'namespace' ? metadata?.namespace : undefined
}

const hasAddress = ({ subsets }: Endpoints): boolean =>
  (subsets ?? []).some(({ addresses }) => (addresses?.length ?? 0) > 0)

const nameOf = ({ metadata }: Service): string => `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`
