// Opens a controller for LMCache's workers, and marks calls with the workers that hold their prompts.
import type { LmcacheSpec } from '../../config/extending.ts'
import type { Core } from '../../core.ts'
import type { Call } from '../../openai/call.ts'
import { LmcacheController } from './controller.ts'
import { preferred } from './prefer.ts'

export class Lmcache {
  /** What it was made by. */
  readonly spec: string
  readonly #controller: LmcacheController

  private constructor(controller: LmcacheController, spec: string) {
    this.#controller = controller
    this.spec = spec
  }

  /** Null where this runtime can't listen, or the port is taken: that is told, and calls go on without it. */
  static async open(core: Core, spec: LmcacheSpec): Promise<Lmcache | null> {
    const { host } = core
    if (!host.sockets?.listen) return null
    const controller = new LmcacheController(core)
    try {
      const { pull } = await controller.open(spec, host.sockets)
      host.log({ level: 'info', message: `LMCache workers may report to port ${pull}` })
      return new Lmcache(controller, JSON.stringify(spec))
    } catch (error) {
      controller.close()
      const message = `LMCache workers can't report to port ${spec.port}: give them another one`
      host.log({ level: 'error', message, error: String(error) })
      return null
    }
  }

  /** The call with the workers that had better answer it; as it is where nobody knows. */
  async mark(core: Core, call: Call): Promise<Call> {
    if (this.#controller.isEmpty || call.pin !== undefined) return call
    const prefers = await preferred(core, this.#controller, call, core.config.kvAwareThreshold)
    return prefers === undefined ? call : { ...call, prefers }
  }

  close(): void {
    this.#controller.close()
  }
}
