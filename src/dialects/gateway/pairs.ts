// What the Rust routers ask of a pair of prefill and decode workers.
import type { Core } from '../../core.ts'
import { askWorker, type Asked } from '../../discovery/ask.ts'
import { listed, phrased, plain } from './answers.ts'
import { fleetOf, type Backend } from './fleet.ts'

/** Milliseconds for the whole answer: a generation may be part of it. */
const PATIENCE = 30_000

/** Has the first healthy worker of each role generate at once (`paths`: the next one where one is unknown), and tells how that went. */
export async function pairGenerates(core: Core, paths: readonly string[]): Promise<Response> {
  const backends = await fleetOf(core)
  const first = (role: Backend['role']) =>
    backends.find((backend) => backend.role === role && backend.isHealthy && !backend.isOpen)
  const [prefill, decode] = [first('prefill'), first('decode')]
  if (!prefill || !decode)
    return plain(503, 'Failed to select PD pair: there is no healthy prefill worker and decode worker')
  const problems = await Promise.all([
    problemOf(core, { name: 'Prefill', backend: prefill }, paths),
    problemOf(core, { name: 'Decode', backend: decode }, paths),
  ])
  const told = problems.filter((problem) => problem !== null)
  return told.length === 0
    ? plain(200, `Health generate passed on selected pair: prefill=${prefill.url}, decode=${decode.url}`)
    : plain(503, `Health generate failed: ${listed(told)}`)
}

async function problemOf(
  core: Core,
  { name, backend }: { readonly name: string; readonly backend: Backend },
  paths: readonly string[],
): Promise<string | null> {
  let reply: Asked = { status: 0, timedOut: false, reason: '' }
  for (const path of paths) {
    reply = await askWorker(core.host, backend.ref, { method: 'GET', path, timeout: PATIENCE })
    if (reply.status !== 404) break
  }
  if (reply.status >= 200 && reply.status <= 299) return null
  if (reply.status === 0) return `${name} ${backend.url} could not be reached`
  return `${name} ${backend.url} returned status ${phrased(reply.status)}`
}
