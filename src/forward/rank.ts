// Tells an engine in the body which of its data-parallel ranks is to serve a call. (The header is set with all others.)
import type { Admitted } from '../admission/admit.ts'
import type { OutgoingBody, WorkerRef } from '../host.ts'
import { editBody, type Edit } from '../openai/spans.ts'

/** Edits that set the worker's rank, in place of what a client sent there; none where the engine needs none. */
export function rankEdits({ rank, rankField }: WorkerRef): Edit[] {
  if (rank === undefined || rankField === undefined) return []
  return [
    { kind: 'delete', key: rankField === 'routed_dp_rank' ? 'data_parallel_rank' : 'routed_dp_rank' },
    { kind: 'set', key: rankField, value: String(rank) },
  ]
}

/** The same for the engine that answers: the rank that computes the prompt, too, whose KV it takes. */
export function pairRankEdits(worker: WorkerRef, prefill: WorkerRef): Edit[] {
  const { rank, rankField } = prefill
  const isTold = rank !== undefined && rankField !== undefined
  const from: Edit[] = isTold ? [{ kind: 'set', key: 'disagg_prefill_dp_rank', value: String(rank) }] : []
  return [...rankEdits(worker), ...from]
}

/** The body of a call for one worker. */
export function rankInBody({ call, body, edits }: Admitted, worker: WorkerRef): OutgoingBody {
  const own = rankEdits(worker)
  if (own.length === 0 || call.body.kind !== 'json' || call.body.top.size === 0) return body
  return editBody(call.body.bytes, call.body.top, [...edits, ...own])
}
