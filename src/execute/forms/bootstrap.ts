// SGLang's rooms: both legs get the same body, with a number under which prefill and decode engine meet.
import type { WorkerRef } from '../../host.ts'
import { elementsOf } from '../../openai/elements.ts'
import { scanTop, type TopLevel } from '../../openai/scan.ts'
import { BodyError } from '../../openai/skip.ts'
import type { Shape } from '../../openai/shapes.ts'
import type { Edit } from '../../openai/spans.ts'

/** Where SGLang's and Mooncake's bootstrap servers listen unless told otherwise. */
export const BOOTSTRAP_PORT = 8998

/**
 * The edits that send a call into rooms of its own. `bootstrap_room` is an integer below 2^63, more than a number holds, so it is
 * text here; a call of several sequences (a batch of prompts, n > 1) has a room for each. `draw`: 0 ≤ x < 1.
 */
export function bootstrapEdits(
  prefill: WorkerRef,
  { shape, top }: { shape: Shape; top: TopLevel },
  draw: () => number,
): Edit[] {
  const host = JSON.stringify(hostOf(prefill.url))
  const port = String(prefill.bootstrapPort === undefined ? BOOTSTRAP_PORT : prefill.bootstrapPort)
  const sequences = sequencesOf(shape, top)
  const each = (value: () => string) =>
    sequences === null ? value() : `[${Array.from({ length: sequences }, value).join(',')}]`
  return [
    { kind: 'set', key: 'bootstrap_host', value: each(() => host) },
    { kind: 'set', key: 'bootstrap_port', value: each(() => port) },
    { kind: 'set', key: 'bootstrap_room', value: each(() => roomOf(draw, prefill)) },
  ]
}

/**
 * A random integer from 0 to 2^63 - 1, as text. Of a data-parallel rank: one that leaves it as remainder by their number, from
 * which SGLang's decode engines conclude where the prompt is computed unless they are told.
 */
export function roomOf(draw: () => number, { rank, ranks }: Pick<WorkerRef, 'rank' | 'ranks'> = {}): string {
  const high = BigInt(Math.floor(draw() * 2 ** 31))
  const room = (high << 32n) | BigInt(Math.floor(draw() * 2 ** 32))
  if (rank === undefined || ranks === undefined) return String(room)
  const meant = room - (room % BigInt(ranks)) + BigInt(rank)
  return String(meant < 1n << 63n ? meant : meant - BigInt(ranks))
}

/** Host part of a worker's URL; IPv6 keeps its brackets. */
export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : url
}

/** How many sequences a call makes, where it is a batch for the engine; null: one, told without a list. */
export function sequencesOf(shape: Shape, top: TopLevel): number | null {
  try {
    if (shape === 'generate') return batchOf(top, ['text', 'input_ids'], choicesOf(samplingOf(top)))
    const n = top.number('n') ?? 1
    if (shape === 'completions') return batchOf(top, ['prompt'], n)
    return shape === 'chat' && n > 1 ? Math.floor(n) : null
  } catch (error) {
    // Not JSON inside: the engine says so.
    if (error instanceof BodyError) return null
    throw error
  }
}

/** `keys`: where prompts may be; a list of numbers is one prompt, as token ids. */
function batchOf(top: TopLevel, keys: readonly string[], n: number): number | null {
  const choices = Math.max(1, Math.floor(n))
  for (const key of keys) {
    const span = top.span(key)
    if (span === null || top.kind(key) !== 'array') continue
    const prompts = elementsOf(top.bytes, span)
    const isBatch = prompts.length > 0 && !/[\d-]/.test(String.fromCharCode(top.bytes[prompts[0]!.start]!))
    if (isBatch) return prompts.length * choices
  }
  return choices > 1 ? choices : null
}

function samplingOf(top: TopLevel): TopLevel | null {
  const span = top.span('sampling_params')
  if (span === null) return null
  const kind = top.kind('sampling_params')
  if (kind === 'object') return scanTop(top.bytes, span)
  const first = kind === 'array' ? elementsOf(top.bytes, span)[0] : undefined
  return first === undefined ? null : scanTop(top.bytes, first)
}

const choicesOf = (params: TopLevel | null): number => params?.number('n') ?? 1
