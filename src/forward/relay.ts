// Passes an answer to the client as it comes and notices its first token, its end, its death, and the client's leave.
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { Started } from '../execute/attempted.ts'
import { watchPair } from '../execute/pair-watch.ts'
import type { Answer, Host, Watch } from '../host.ts'
import { idNameOf } from '../openai/head.ts'
import { Passage } from './closing.ts'
import { answerHeaders, hideOrigin, isEventStream, withoutHeader } from './headers.ts'
import { takeReport, type Reported } from './load-report.ts'
import { StreamRelay } from './stream-relay.ts'
import { WholeRelay } from './whole-relay.ts'

/** The client's Response. From here on the call ends by its Watch, once. */
export function relay(core: Core, admitted: Admitted, started: Started): Response {
  const { call, stripUsage } = admitted
  const { upstream, plan } = started
  core.recorder?.began(admitted.ask)
  const report: Reported = core.config.orca
    ? takeReport(upstream.headers, call.headers)
    : { load: null, headers: upstream.headers }
  const isStream = isEventStream(upstream.headers) && upstream.status < 400
  const ours = [
    idNameOf(core),
    call.requestId,
    'x-fetchway-worker',
    plan.worker.id,
    'x-fetchway-decision',
    plan.decision,
  ]
  const marks = core.surface?.mark?.(plan)
  if (marks) ours.push(...marks)
  if (plan.kind === 'pair') ours.push('x-fetchway-prefill', plan.prefill.id)
  // An event stream may end with other bytes than the engine announced.
  const isRead = started.whole !== undefined || started.partner?.merges
  const own = isStream || isRead ? withoutHeader(report.headers, 'content-length') : report.headers
  const isRedirect = upstream.status >= 300 && upstream.status < 400
  const engine = isRedirect ? hideOrigin(own, plan.worker.url) : own
  const answer = { status: upstream.status, headers: answerHeaders(engine, ours) }
  if (plan.waited > 0) core.instruments.queueWait.with().observe(plan.waited / 1000)
  call.release()
  freeBody(core, admitted, started)
  const passage = new Passage(core, admitted, started, report.load)
  const bare = isStream ? new StreamRelay(passage, stripUsage) : new WholeRelay(passage)
  const watch = call.tap?.(bare, upstream.status) ?? bare
  if (started.whole !== undefined) {
    const retold = retell(core, started)
    if (retold === undefined) return relayRead(core.host, started.whole, answer, watch)
    const headers = [...withoutHeader(answer.headers, 'content-type'), 'content-type', 'application/json']
    return relayRead(core.host, retold, { ...answer, headers }, watch)
  }
  return core.host.relay(upstream, answer, started.partner ? watchPair(watch, started.partner) : watch)
}

/** Frees the memory of a body that went to one worker, once, while nobody looked on who might keep it. */
function freeBody(core: Core, { call }: Admitted, { plan, upstream }: Started): void {
  const { body, tap } = call
  const isWatched = core.extensions !== null || tap !== undefined
  const isPlain = plan.kind === 'single' && plan.attempt === 1
  if (isPlain && !isWatched && 'bytes' in body) upstream.free?.(body.bytes)
}

/** What a dialect makes of an engine's refusal of its half of a call. */
function retell(core: Core, { plan, upstream, leg, whole }: Started): Uint8Array | undefined {
  const { status } = upstream
  if (plan.kind !== 'pair' || status < 400 || !core.surface?.retell) return undefined
  const text = new TextDecoder().decode(whole)
  const retold = core.surface.retell({ leg: leg ?? 'decode', status, text }, core)
  return retold && new TextEncoder().encode(JSON.stringify(retold))
}

/** An answer that is here to its last byte. */
function relayRead(host: Host, bytes: Uint8Array, answer: Answer, watch: Watch): Response {
  watch.chunk(bytes)
  watch.end()
  const isBare = answer.status === 204 || answer.status === 205 || answer.status === 304
  const list = [...answer.headers, 'content-length', String(bytes.length)]
  if (host.reply && !isBare) return host.reply({ status: answer.status, headers: list }, bytes)
  const headers = new Headers()
  for (let i = 0; i < list.length; i += 2) headers.append(list[i] as string, list[i + 1] as string)
  return new Response(isBare ? null : (bytes as Uint8Array<ArrayBuffer>), { status: answer.status, headers })
}
