// Says things to another router and hears its answers.
import { askWorker } from '../discovery/ask.ts'
import type { Host, WorkerRef } from '../host.ts'
import { PATH, type Said } from './words.ts'

export type CallSeams = Pick<Host, 'fetch' | 'timer'>

/** Another router as a place that requests go to. */
export const routerAt = (url: string, adminKey: string | undefined): WorkerRef => ({
  id: 'router',
  url,
  engine: 'unknown',
  ...(adminKey !== undefined && { apiKey: adminKey }),
})

/** One answer for each thing said, in their order. Throws when the router does not answer in time, or does not understand. */
export async function say(
  seams: CallSeams,
  router: WorkerRef,
  said: readonly Said[],
  timeout: number,
): Promise<readonly unknown[]> {
  const body = JSON.stringify(said)
  const asked = await askWorker(seams, router, { method: 'POST', path: PATH, body, timeout })
  if ('reason' in asked) throw new Error(asked.timedOut ? 'no answer in time' : asked.reason)
  if (asked.status !== 200) throw new Error(`it answered with status ${asked.status}`)
  const answers: unknown = JSON.parse(asked.text)
  if (!Array.isArray(answers) || answers.length !== said.length) throw new Error('it answered something else')
  return answers
}
