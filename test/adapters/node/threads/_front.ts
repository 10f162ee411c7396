// A router of two serving threads, in this process.
import type { TestContext } from 'node:test'
import { createHost, type NodeHost } from '../../../../adapters/node/host.ts'
import { serveOptions } from '../../../../adapters/node/listen.ts'
import { createLog } from '../../../../adapters/node/log.ts'
import { serveByThreads, type ThreadedFront } from '../../../../adapters/node/threads/front.ts'
import { configSchema, type Config, type ConfigInput } from '../../../../src/config/schema.ts'
import type { PoolView } from '../../../../src/actors/pool-view.ts'

export interface Rig extends ThreadedFront {
  readonly host: NodeHost
  readonly logs: string[]
  view(): Promise<PoolView>
  /** Puts another configuration into force, as a reload does. */
  reload(change: ConfigInput): Promise<void>
}

/** Starts it; it has seen its workers. */
export async function threads(t: TestContext, input: ConfigInput): Promise<Rig> {
  const parse = (more: ConfigInput): Config =>
    configSchema.parse({ port: 0, threads: 2, healthInterval: 'off', state: 'off', ...input, ...more })
  const config = parse({})
  const logs: string[] = []
  const log = createLog({ logLevel: 'debug', logFormat: 'json' }, (line) => logs.push(line))
  const host = createHost(config, log)
  const options = serveOptions(config, log)
  const front = await serveByThreads({ config, host, options, log })
  t.after(async () => {
    await front.close(0)
    host.close()
  })
  await host.registry('main').settled()
  const reload = async (change: ConfigInput) => {
    const next = parse(change)
    await front.app.reload(next)
    front.adopt(next)
  }
  return { ...front, host, logs, view: async () => host.pool('main').view(), reload }
}
