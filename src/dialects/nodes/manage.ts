// Adds, removes and ends nodes as DLRouter's and LMDeploy's endpoints ask; how that is told is theirs.
import type { WorkerView } from '../../actors/members.ts'
import { serverIdOf } from '../../actors/ranks.ts'
import type { WorkerSpec } from '../../config/schema.ts'
import type { Core } from '../../core.ts'
import { askWorker } from '../../discovery/ask.ts'
import { opaqueId } from '../../hash.ts'
import { specOf, speedOf, statusOf, type GivenStatus, type NodeStatus } from './status.ts'

/** How long a node is waited for that is asked for its models, ms; one that is slower is met later. */
const PATIENCE = 5_000
/** For an engine to say that it ends, ms. */
const TERMINATE_TIME = 30_000

const registryOf = (core: Core) => core.host.registry('main')

/** All nodes by URL, ranks by `url@rank`. */
export async function nodes(core: Core): Promise<Record<string, NodeStatus>> {
  const registry = registryOf(core)
  const [workers, membership, view] = await Promise.all([
    registry.list(),
    registry.members(0),
    core.host.pool('main').view(),
  ])
  const refs = new Map(membership?.members.map(({ ref }) => [ref.id, ref]))
  const seats = new Map(view.workers.map((seat) => [seat.id, seat]))
  return Object.fromEntries(
    workers.map((worker) => {
      const kvAddress = refs.get(worker.id)?.kvAddress
      return [worker.url, statusOf({ ...worker, kvAddress }, seats.get(worker.id))]
    }),
  )
}

/** Whether a node of that URL is there and has said what it is. */
export async function isKnown(core: Core, url: string): Promise<boolean> {
  const id = idOf(url)
  return id !== null && (await registryOf(core).get(id))?.known === true
}

/** Introduces every prefill node to every decode node. Rejects when one of them does not take part. */
export async function connectAll(core: Core): Promise<void> {
  const membership = await registryOf(core).members(0)
  const refs = (role: string) =>
    (membership?.members ?? []).filter((member) => member.role === role).map(({ ref }) => ref)
  const decode = refs('decode')
  await Promise.all(
    refs('prefill').flatMap((first) => decode.map((second) => core.links.connect(core, first, second))),
  )
}

/** Adds a node, in place of one of that URL. Resolves when it was asked for its models, or takes long. False: the URL is none. */
export async function addNode(
  core: Core,
  url: string,
  { status, engine }: { readonly status: GivenStatus | null; readonly engine?: unknown },
): Promise<boolean> {
  const registry = registryOf(core)
  const named = specOf(url, status ?? {})
  if (named === null) return false
  const spec = engine === undefined ? named : { ...named, engine: engine as WorkerSpec['engine'] & string }
  const id = opaqueId('w', spec.url)
  const known = await registry.get(id)
  // Without a status it keeps what it has.
  if (known && status === null) await registry.refresh(id)
  else {
    if (known) await registry.remove(id)
    await registry.add(spec, 'api')
  }
  await evenSpeeds(core)
  // Halves of pairs are matched by what they are: one that was added serves with the next call.
  const isAsked = spec.models === undefined || (spec.role !== 'mixed' && spec.engine === undefined)
  if (isAsked) await inTime(core, Promise.resolve(registry.settled()))
  await core.models.refresh()
  return true
}

/** Nodes without a speed count as the mean of those that have one. */
async function evenSpeeds(core: Core): Promise<void> {
  const registry = registryOf(core)
  const workers = await registry.list()
  const speeds = workers.map(speedOf).filter((speed) => speed !== null)
  const mean = speeds.length === 0 ? 1 : speeds.reduce((sum, speed) => sum + speed, 0) / speeds.length
  const servers = new Map(workers.map((worker) => [serverIdOf(worker.id), worker]))
  for (const [id, worker] of servers)
    if (speedOf(worker) === null && worker.weight !== mean)
      await registry.patch(id, { spec: { weight: mean } satisfies Partial<WorkerSpec> })
}

/** Removes a node; harmless when there is none. */
export async function removeNode(core: Core, url: string): Promise<void> {
  const id = idOf(url)
  if (id === null) return
  await registryOf(core).remove(id)
  core.instruments.forget(id)
  core.host.after(core.links.drop(core, id))
  await evenSpeeds(core)
}

/** Asks an engine to end and removes its node. False: there is none, or it did not say that it ends, and stays. */
export async function terminateNode(core: Core, url: string): Promise<boolean> {
  const id = idOf(url)
  const membership = await registryOf(core).members(0)
  const member = membership?.members.find(({ ref }) => serverIdOf(ref.id) === id)
  if (!member) return false
  const question = { method: 'GET', path: '/terminate', timeout: TERMINATE_TIME } as const
  const asked = await askWorker(core.host, member.ref, question)
  const isGone = asked.status === 200
  if (isGone || core.config.strictCompat) await removeNode(core, url)
  return isGone
}

/** The same for all. False: some did not. */
export async function terminateAll(core: Core): Promise<boolean> {
  const servers = new Set(
    (await registryOf(core).list()).map(({ url }: WorkerView) => url.replace(/@\d+$/, '')),
  )
  const ended = await Promise.all([...servers].map((url) => terminateNode(core, url)))
  return ended.every((isGone) => isGone)
}

function idOf(url: string): string | null {
  const spec = specOf(url, {})
  return spec && opaqueId('w', spec.url)
}

async function inTime({ host }: Core, work: Promise<unknown>): Promise<void> {
  let cancel = () => {}
  const late = new Promise((resolve) => (cancel = host.timer(PATIENCE, () => resolve(null))))
  await Promise.race([work, late])
  cancel()
}
