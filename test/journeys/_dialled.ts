// Routers on any runtime whose fleet has dialled in: the clients are in this process, as on machines elsewhere.
import { createClient } from '../../adapters/cli/connect.ts'
import { dialer } from '../../adapters/node/wire/websocket.ts'
import { workerSchema, type ConfigInput, type WorkerSpec } from '../../src/config/schema.ts'
import { opaqueId } from '../../src/hash.ts'
import type { Engine } from '../../src/simulator/engine.ts'
import { eventually, WORKERS, type Json, type Open, type Opened, type OpenOptions } from './_rig.ts'
import { listenAll } from './_sockets.ts'

/** A router that can be dialled. */
export interface Dialable extends Opened {
  /** Its URL for workers. */
  readonly at: string
}

export type OpenDialable = (config: ConfigInput, fleet: {}, options: OpenOptions) => Promise<Dialable>

const TOKEN = 'journey'
const nameOf = (url: string) => new URL(url).hostname

/** Opens routers without workers, and lets the fleet dial in. */
export function dialledIn(open: OpenDialable): Open {
  return async (input, fleet, options) => {
    const own = { workers: [], tunnelTokens: [TOKEN] }
    const opened = await open({ ...input, ...own }, {}, options)
    const wanted = (input.workers ?? []).map((worker) =>
      workerSchema.parse(typeof worker === 'string' ? { url: worker } : worker),
    )
    const urls = await listenAll(fleet)
    const clients = wanted.map(({ url }) =>
      createClient({
        router: opened.at,
        engine: urls.get(url) ?? url,
        token: TOKEN,
        name: nameOf(url),
        dialer,
        tell: () => undefined,
      }),
    )
    const close = async () => {
      for (const client of clients) client.stop()
      await opened.close()
    }
    for (const client of clients) void client.run()
    try {
      for (const spec of wanted) await isThere(opened, spec, { key: input.adminKey, engine: fleet[spec.url] })
    } catch (error) {
      await close()
      throw error
    }
    return {
      ...opened,
      url: (name) => `tunnel:${nameOf(name)}`,
      reload: (next) => opened.reload({ ...next, ...own }),
      close,
    }
  }
}

/** Waits for a worker, and sets what the configuration says of it. */
async function isThere(
  opened: Opened,
  spec: WorkerSpec,
  { key, engine }: { readonly key: string | undefined; readonly engine: Engine | null | undefined },
): Promise<void> {
  const path = `http://router${WORKERS}/${opaqueId('w', `tunnel:${nameOf(spec.url)}`)}`
  const headers = { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) }
  const ask = async (method: string, body: string | null = null): Promise<Json> => {
    const response = await opened.fetch(new Request(path, { method, headers, body }))
    const text = await response.text()
    // A control plane that is closed tells nothing.
    if (response.status === 403) return { known: await hasModels(opened) }
    return response.ok ? (JSON.parse(text) as Json) : null
  }
  await eventually(
    async () => (await ask('GET')) !== null,
    () => `${spec.url} never came`,
  )
  const { url: _, role: __, ...rest } = spec
  const isPlain = JSON.stringify(spec) === JSON.stringify(workerSchema.parse({ url: spec.url }))
  if (!isPlain) await ask('PATCH', JSON.stringify(rest))
  // Of one that does not answer nothing will be known.
  const end = performance.now() + ((await isAnswering(engine, spec)) ? 20_000 : 500)
  while (performance.now() < end && !(await ask('GET')).known) await new Promise((go) => setTimeout(go, 5))
}

/** Whether the engine itself, asked here, tells its models. */
async function isAnswering(engine: Engine | null | undefined, { apiKey }: WorkerSpec): Promise<boolean> {
  const headers: Record<string, string> = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }
  try {
    return (await engine?.fetch(new Request('http://engine/v1/models', { headers })))?.ok ?? false
  } catch {
    // One that is dead.
    return false
  }
}

async function hasModels(opened: Opened): Promise<boolean> {
  const models = await opened.fetch(new Request('http://router/v1/models'))
  return ((await models.json()) as Json).data.length > 0
}
