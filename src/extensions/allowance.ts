// A tenant's allowance for calls that are not admitted to the fleet.
import type { Caller } from '../admission/auth.ts'
import type { Core } from '../core.ts'
import { Refusal } from '../openai/errors.ts'

/** Takes a call from the caller's allowance. Throws 429 when it is used up; a limiter that is lost stops nobody. */
export async function takeAllowance(
  { host }: Core,
  { allowance, tenant }: Caller,
  tokens: number,
): Promise<void> {
  if (allowance === null) return
  let seconds = 0
  try {
    seconds = await host.limiter(allowance.tenant).take(allowance, tokens)
  } catch (error) {
    const message = 'the limiter did not answer: let in without it'
    host.log({ level: 'warn', message, error: String(error) })
  }
  if (seconds > 0)
    throw new Refusal(
      429,
      'rate_limited',
      `The rate limit of ${tenant} is used up: try again in ${seconds} s.`,
      seconds,
    )
}
