// Actors that can be out of reach for a moment: what only reads is asked once more, and clients are told to come again.
import type { ActorRef, Remote } from '../../src/actors/actor.ts'
import type { Host } from '../../src/host.ts'
import { Refusal } from '../../src/openai/errors.ts'

/** Methods that change nothing, so that asking twice is harmless. */
const READING = new Set(['get', 'list', 'members', 'directory', 'settled', 'view', 'holder'])

/**
 * The same actors, whose calls reject with a `Refusal` (503 `state_unreachable`) when the object was reset, is overloaded, or
 * failed: that is no fault of the request.
 */
export function telling<T>(kind: string, ref: ActorRef<T>, log: Host['log']): ActorRef<T> {
  type Methods = Record<string, (...args: unknown[]) => unknown>
  const ask = async (name: string, method: string, args: unknown[]): Promise<unknown> =>
    (ref(name) as Methods)[method]?.(...args)
  const call =
    (name: string, method: string) =>
    async (...args: unknown[]) => {
      try {
        const first = ask(name, method, args)
        return await (READING.has(method) ? first.catch(() => ask(name, method, args)) : first)
      } catch (error) {
        log({ level: 'error', message: `the ${kind} did not answer`, method, error: String(error) })
        const message = `The ${kind} of this router is out of reach for a moment: try again.`
        throw new Refusal(503, 'state_unreachable', message, 1)
      }
    }
  return (name) => new Proxy({}, { get: (_, method) => call(name, method as string) }) as Remote<T>
}
