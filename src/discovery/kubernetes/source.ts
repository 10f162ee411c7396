// Kubernetes as a source of workers: finds the API server, follows pods (or services), and tells which of them are workers.
import type { Config } from '../../config/schema.ts'
import type { Source, SourceMaker, SourceSeams, SourceStatus, Want, Wanted } from '../source.ts'
import type { Access, FindAccess } from './credentials.ts'
import { KubeApi, type Resource } from './api.ts'
import { common, parseSelector } from './labels.ts'
import { trimMetadata, trimPod, type Endpoints, type KubeObject, type Pod, type Service } from './objects.ts'
import { PodSet, podRules } from './pods.ts'
import { wantedServices } from './services.ts'
import { ObjectWatch } from './watch.ts'

/** Credentials that are not there (yet) are looked for again after this, ms. */
const AGAIN = 10_000
const ALL = '*'

/** What makes the source; nothing happens before its `start`. It can't work without an API server and credentials. */
export const kubernetesSource = (findAccess: FindAccess): SourceMaker => ({
  make: (config, seams, want) => new KubernetesSource(config, { ...seams, findAccess }, want),
  check: async (config, outside) => void (await findAccess(config, outside)),
})

/** What it may use, and how it finds the API server. */
interface Seams extends SourceSeams {
  readonly findAccess: FindAccess
}

/** What follows the objects, and which workers they come to. */
interface Following {
  readonly watches: readonly ObjectWatch<KubeObject>[]
  wanted(): readonly Wanted[]
}

class KubernetesSource implements Source {
  readonly #config: Config
  readonly #seams: Seams
  readonly #want: Want
  #following: Following | null = null
  #problem: string | null = null
  /** Keys of the workers that it wants now, and how many came and went in all. */
  #keys: ReadonlySet<string> = new Set()
  #came = 0
  #went = 0
  #isStopped = false
  #cancel = () => {}

  constructor(config: Config, seams: Seams, want: Want) {
    this.#config = config
    this.#seams = seams
    this.#want = want
  }

  start(): void {
    this.#seams.after(this.#begin())
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
    for (const watch of this.#following?.watches ?? []) watch.stop()
  }

  status(): SourceStatus {
    const states = (this.#following?.watches ?? []).map((watch) => watch.status())
    const listedAt = Math.min(...states.map((state) => state.listedAt))
    const isSynced = states.length > 0 && listedAt > 0
    const problem = this.#problem ?? states.find((state) => state.problem !== null)?.problem ?? null
    return {
      name: 'kubernetes',
      isSettled: isSynced || problem !== null,
      synced_at: isSynced ? new Date(listedAt).toISOString() : null,
      problem,
      workers: this.#keys.size,
      counts: {
        stale_watches: states.reduce((sum, state) => sum + state.staleWatches, 0),
        came: this.#came,
        went: this.#went,
      },
    }
  }

  async #begin(): Promise<void> {
    let access: Access
    try {
      access = await this.#seams.findAccess(this.#config, this.#seams.outside)
    } catch (error) {
      this.#postpone(error instanceof Error ? error.message : String(error))
      return
    }
    if (this.#isStopped) return
    this.#problem = null
    const namespace = this.#config.kubernetesNamespace ?? access.namespace ?? 'default'
    const where = namespace === ALL ? 'all namespaces' : `namespace ${namespace}`
    this.#seams.log({ level: 'info', message: `looking for workers in Kubernetes: ${access.url}, ${where}` })
    const begin = this.#config.kubernetesTarget === 'services' ? followServices : followPods
    const following = begin(this.#config, namespace, (resource, trim) =>
      this.#watchOf(access, resource, trim),
    )
    this.#following = following
    await Promise.all(following.watches.map((watch) => watch.run()))
  }

  #postpone(problem: string): void {
    if (this.#isStopped) return
    if (problem !== this.#problem)
      this.#seams.log({ level: 'error', message: `no workers are found in Kubernetes: ${problem}` })
    this.#problem = problem
    this.#want(null)
    this.#cancel = this.#seams.timer(AGAIN, () => this.start())
  }

  #watchOf(
    access: Access,
    resource: Resource,
    trim: (object: KubeObject) => KubeObject,
  ): ObjectWatch<KubeObject> {
    const { kubernetesRelist: relist, kubernetesStall: stall } = this.#config
    const options = { resource, rules: { relist, stall }, trim, changed: () => this.#changed() }
    return new ObjectWatch(new KubeApi(access), this.#seams, options)
  }

  #changed(): void {
    if (this.#isStopped || !this.#following) return
    const { watches, wanted } = this.#following
    // Half of the truth would look as if workers had gone.
    const isWhole = watches.every((watch) => watch.status().listedAt > 0)
    if (!isWhole) return this.#want(null)
    const workers = wanted()
    this.#count(new Set(workers.map(({ key }) => key)))
    this.#want(workers)
  }

  #count(keys: ReadonlySet<string>): void {
    this.#came += [...keys].filter((key) => !this.#keys.has(key)).length
    this.#went += [...this.#keys].filter((key) => !keys.has(key)).length
    this.#keys = keys
  }
}

type MakeWatch = (resource: Resource, trim: (object: KubeObject) => KubeObject) => ObjectWatch<KubeObject>

function followPods(config: Config, namespace: string, make: MakeWatch): Following {
  const rules = podRules(config)
  const pods = new PodSet(rules)
  const selector = common(rules.roles.map((role) => role.selector))
  const watch = make({ path: pathOf(namespace, 'pods'), selector }, trimPod)
  return { watches: [watch], wanted: () => pods.wanted(watch.objects.values() as Iterable<Pod>) }
}

function followServices(config: Config, namespace: string, make: MakeWatch): Following {
  const selector = parseSelector(config.kubernetesSelector ?? ALL)
  const rules = {
    selector,
    roles: podRules(config).roles.filter(({ role }) => role !== 'mixed'),
    port: config.kubernetesPort,
    isNamespaced: namespace !== ALL,
    modelFrom: config.kubernetesModelFrom,
    headers: config.kubernetesHeaders,
  }
  const services = make({ path: pathOf(namespace, 'services'), selector: selector.text }, trimService)
  const endpoints = make({ path: pathOf(namespace, 'endpoints'), selector: '' }, trimEndpoints)
  return {
    watches: [services, endpoints],
    wanted: () => wantedServices(services.objects.values(), endpoints.objects.values(), rules),
  }
}

const pathOf = (namespace: string, kind: string): string =>
  namespace === ALL ? `/api/v1/${kind}` : `/api/v1/namespaces/${encodeURIComponent(namespace)}/${kind}`

const trimService = ({ metadata, spec }: Service): Service => ({
  metadata: trimMetadata(metadata),
  spec: { ...(spec?.selector && { selector: spec.selector }), ...(spec?.ports && { ports: spec.ports }) },
})

/** Only whether there is an address. */
const trimEndpoints = ({ metadata, subsets }: Endpoints): Endpoints => ({
  metadata: trimMetadata(metadata),
  subsets: (subsets ?? [])
    .filter(({ addresses }) => (addresses?.length ?? 0) > 0)
    .slice(0, 1)
    .map(() => ({ addresses: [true] })),
})
