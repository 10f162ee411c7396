// `--routing-logic kvaware`: listens for LMCache's workers, and marks calls with the workers that hold their prompts.
import type { Core } from '../../../core.ts'
import type { Call } from '../../../openai/call.ts'
import type { Options } from '../options.ts'
import { LmcacheController } from './controller.ts'
import { preferred } from './prefer.ts'

export interface KvAware {
  /** Listens, where this runtime can; a port that is taken is told. */
  start(core: Core): void
  /** The call with the workers that had better answer it; the call itself where nobody knows. */
  mark(core: Core, call: Call): Call | Promise<Call>
}

/** By the options of the command line; does nothing under another routing logic. */
export function kvAware({ lmcache, kvAwareThreshold, live }: Options): KvAware {
  let controller: LmcacheController | null = null
  return {
    start(core) {
      const { host } = core
      if (live.routing !== 'kvaware' || !host.sockets?.listen) return
      const made = new LmcacheController(core)
      controller = made
      const opened = made.open(lmcache, host.sockets).then(
        ({ pull }) => host.log({ level: 'info', message: `LMCache workers may report to port ${pull}` }),
        (error: unknown) =>
          host.log({
            level: 'error',
            message: `LMCache workers can't report to port ${lmcache.port}: set --lmcache-controller-port`,
            error: String(error),
          }),
      )
      host.after(opened)
    },
    mark(core, call) {
      if (controller === null || controller.isEmpty || call.pin !== undefined) return call
      return preferred(core, controller, call, kvAwareThreshold).then((prefers) =>
        prefers === undefined ? call : { ...call, prefers },
      )
    },
  }
}
