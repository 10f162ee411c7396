// The line that production-stack logs of each request it routes, and that scripts read.
import type { Plan } from '../../actors/ask.ts'
import type { Admitted } from '../../admission/admit.ts'
import type { Core } from '../../core.ts'

/** Logs where a call goes: of a pair, a line for either half. `attempts`: the most that there may be. */
export function logRouting(core: Core, { call }: Admitted, plan: Plan, attempts: number): void {
  const { host } = core
  const now = host.now()
  const say = (message: string) => host.log({ level: 'info', message })
  if (plan.attempt > 1) {
    say(`Routing request ${call.requestId} to ${plan.worker.url} (attempt ${plan.attempt}/${attempts})`)
    return
  }
  const took = ((now - call.startedAt) / 1000).toFixed(4)
  const session = call.session === null ? 'None' : call.session.replaceAll(/\s/g, '_')
  const at = (now / 1000).toFixed(6)
  const urls = plan.kind === 'pair' ? [plan.prefill.url, plan.worker.url] : [plan.worker.url]
  for (const url of urls)
    say(
      `Routing request ${call.requestId} with session id ${session} to ${url} at ${at}, process time = ${took}`,
    )
}
