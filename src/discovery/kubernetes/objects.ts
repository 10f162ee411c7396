// The parts of Kubernetes' objects that are looked at. Everything is optional: what an API server leaves out is none.

export interface Metadata {
  readonly name?: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly deletionTimestamp?: string | null
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

export interface KubeObject {
  readonly metadata?: Metadata
}

export interface ContainerPort {
  readonly name?: string
  readonly containerPort?: number
}

export interface Pod extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string
    readonly containers?: readonly { readonly name?: string; readonly ports?: readonly ContainerPort[] }[]
  }
  readonly status?: {
    readonly phase?: string
    readonly podIP?: string
    readonly conditions?: readonly { readonly type?: string; readonly status?: string }[]
    readonly containerStatuses?: readonly { readonly ready?: boolean }[]
  }
}

export interface ServicePort {
  readonly name?: string
  readonly port?: number
}

export interface Service extends KubeObject {
  readonly spec?: {
    readonly selector?: Readonly<Record<string, string>>
    readonly ports?: readonly ServicePort[]
  }
}

export interface Endpoints extends KubeObject {
  readonly subsets?: readonly { readonly addresses?: readonly unknown[] }[] | null
}

/** A line of a watch. An `ERROR` carries a Status. */
export interface WatchEvent {
  readonly type?: string
  readonly object?: KubeObject & {
    readonly code?: number
    readonly reason?: string
    readonly message?: string
  }
}

export interface ObjectList<T> {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string }
  readonly items?: readonly T[] | null
}

/** Stays with one object for its life; a new one of the same name has another. */
export function uidOf({ metadata }: KubeObject): string {
  return metadata?.uid ?? `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`
}

/** What is kept of a pod: a hundredth of what the server tells of it. */
export function trimPod({ metadata, spec, status }: Pod): Pod {
  const containers = spec?.containers?.map(({ name, ports }) => ({
    ...(name !== undefined && { name }),
    ...(ports && { ports }),
  }))
  return {
    metadata: trimMetadata(metadata),
    spec: { ...(spec?.nodeName && { nodeName: spec.nodeName }), ...(containers && { containers }) },
    status: {
      ...(status?.phase && { phase: status.phase }),
      ...(status?.podIP && { podIP: status.podIP }),
      ...(status?.conditions && {
        conditions: status.conditions.map(({ type = '', status: is = '' }) => ({ type, status: is })),
      }),
      ...(status?.containerStatuses && {
        containerStatuses: status.containerStatuses.map(({ ready = false }) => ({ ready })),
      }),
    },
  }
}

/** The whole object again, written into an annotation by kubectl. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'

/** What is kept of the metadata of an object. */
export function trimMetadata(metadata: Metadata = {}): Metadata {
  const { name, namespace, uid, resourceVersion, deletionTimestamp, labels, annotations } = metadata
  const { [LAST_APPLIED]: _, ...kept } = annotations ?? {}
  return {
    ...(name !== undefined && { name }),
    ...(namespace !== undefined && { namespace }),
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
    ...(deletionTimestamp && { deletionTimestamp }),
    ...(labels && { labels }),
    annotations: kept,
  }
}
