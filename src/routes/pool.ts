// POST /fetchway/v1/pool: what other routers with the same workers tell the pool of this one, or ask of it as their leader.
import type { Remote } from '../actors/actor.ts'
import type { Pick as Picked } from '../actors/ask.ts'
import type { Pool } from '../actors/pool.ts'
import { readBody } from '../admission/body.ts'
import type { Core } from '../core.ts'
import type { Host } from '../host.ts'
import { Refusal } from '../openai/errors.ts'
import { ownName } from '../sharing/leader.ts'
import { readAsk, readDigest, sayPick, type Said, type SaidPick } from '../sharing/words.ts'
import { json } from './reply.ts'

/** A router hears within this time that its call waits, ms: so it knows that its leader lives. */
const PATIENCE = 500

/** Takes a list of things said, and answers with one thing for each. */
export async function talk(core: Core, request: Request): Promise<Response> {
  const { host } = core
  const pool = host.pool(ownName(core.config))
  const held = await readBody(request, core.buffers, core.config, host)
  try {
    const said = JSON.parse(new TextDecoder().decode(held.bytes)) as unknown
    if (!Array.isArray(said)) throw new TypeError('not a list')
    const answers: unknown[] = []
    for (const one of said as Said[]) answers.push(await take(pool, host, one))
    return json(answers)
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error
    throw new Refusal(400, 'invalid_pool_call', `This is nothing that routers say: ${error.message}.`)
  } finally {
    held.release()
  }
}

async function take(pool: Remote<Pool>, host: Host, said: Said): Promise<SaidPick | null> {
  const now = host.now()
  if (said[0] === 'pick') return decided(host, pool.pick(readAsk(said[1], now)))
  if (said[0] === 'repick') return decided(host, pool.repick(said[1], readAsk(said[2], now), said[3]))
  if (said[0] === 'note') await pool.note(said[1])
  else if (said[0] === 'renew') await pool.renew(said[1])
  else if (said[0] === 'settle') await pool.settle(said[1], said[2])
  else if (said[0] === 'expire') await pool.expire()
  else if (said[0] === 'hear') await pool.hear(readDigest(said[1]))
  else throw new TypeError(`nobody knows ${JSON.stringify(said[0])}`)
  return null
}

/** The decision, if it comes soon. */
async function decided(host: Host, pick: Picked | Promise<Picked>): Promise<SaidPick> {
  if (!(pick instanceof Promise)) return sayPick(pick)
  let cancel = () => {}
  const late = new Promise<null>((resolve) => (cancel = host.timer(PATIENCE, () => resolve(null))))
  const picked = await Promise.race([pick, late])
  cancel()
  return picked === null ? { waits: true } : sayPick(picked)
}
