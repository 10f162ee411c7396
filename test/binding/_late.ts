// Workers that read 1,000 tokens a second, one prompt after the other, before a pool that binds late.
import type { Ask, Pick } from '../../src/actors/ask.ts'
import type { Member } from '../../src/actors/members.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { settle } from '../_clock.ts'
import { ask, member, rig, type Rig } from '../actors/_pool.ts'

export interface LateRig extends Rig {
  /** Sends a call; its plan's worker, or why there is none, once it is known. */
  send(change: Partial<Ask>): Promise<Sent>
  /** The first token of a call that was sent. */
  first(sent: Sent): Promise<void>
  end(sent: Sent): Promise<void>
}

export interface Sent {
  readonly id: string
  /** `…` while it waits. */
  where: string
  sentAt: number
}

/** Pairs of a long and a short prompt by which the pool learns how a worker reads. */
const PAIRS = 12

/** `taught`: workers that read in order, as the pool has seen. */
export async function lateRig(
  config: ConfigInput,
  taught: readonly string[],
  ...members: Member[]
): Promise<LateRig> {
  const base = await rig(
    {
      policy: 'least_cost',
      binding: 'late',
      prefillSpeed: 1000,
      healthInterval: 'off',
      loadInterval: 'off',
      ...config,
    },
    ...(members.length > 0 ? members : taught.map((id) => member(id))),
  )
  const { pool, clock } = base
  const send = async (change: Partial<Ask>): Promise<Sent> => {
    const asked = ask(change)
    const sent: Sent = { id: asked.id, where: '…', sentAt: 0 }
    void Promise.resolve(pool.pick(asked)).then((pick: Pick) => {
      sent.where = 'plan' in pick ? pick.plan.worker.id : pick.refusal.code
      sent.sentAt = clock.now()
    })
    await settle()
    return sent
  }
  const first = async ({ id, sentAt }: Sent) => {
    pool.note([{ id, kind: 'first', after: clock.now() - sentAt }])
    await settle()
  }
  const end = async ({ id }: Sent) => {
    pool.settle(id, { kind: 'done', status: 200 })
    await settle()
  }
  const late = { ...base, send, first, end }
  for (const id of taught) await teach(late, id, false)
  return late
}

/** The pool sees how a worker reads. `shares`: the short prompt of each pair comes first. */
export async function teach(late: LateRig, worker: string, shares: boolean): Promise<void> {
  for (let i = 0; i < PAIRS; i++) {
    const long = await late.send({ tokens: 2000, pin: worker })
    const short = await late.send({ tokens: 100, pin: worker })
    if (shares) {
      await late.clock.advance(200)
      await late.first(short)
    }
    await late.clock.advance(2010)
    await late.first(long)
    await late.clock.advance(110)
    if (!shares) await late.first(short)
    await late.end(long)
    await late.end(short)
  }
}

export const bindings = ({ pool }: Rig): readonly string[] =>
  pool.view().workers.map(({ binding }) => binding)
