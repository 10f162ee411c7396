// What an answer will be, settled before its first token is due: the scheduler then only decides when.
import type { Sampling } from './sampling.ts'
import { valueFor } from './schema-value.ts'
import { nextPiece, readText, spread, usualLength, type TextState } from './text.ts'
import { encode, tokenBytes } from './tokenizer.ts'

/** A prompt as the model sees it. */
export interface Prompt {
  readonly text: string
  readonly tokens: Uint32Array
  /** The unfinished answer that the prompt ends with, and that is to be continued. */
  readonly partial: string
}

export interface ToolCall {
  readonly name: string
  readonly arguments: string
  /** By the caller's order, not by the model's own will: the engines end such calls with `stop`. */
  readonly forced: boolean
}

export interface Plan {
  readonly tokens: Uint32Array
  /** The text that each token adds; of a tool call the first is its name and the others are its arguments. */
  readonly pieces: readonly string[]
  readonly text: string
  readonly finish: 'stop' | 'length' | 'tool_calls'
  /** The stop string or token that ended it. */
  readonly stopReason: string | number | null
  readonly tool: ToolCall | null
}

/** What may be said at most, and what must be said. */
export interface PlanLimits {
  /** Room in the context. */
  readonly room: number
  /** Set by `x-sim-output-tokens`: where the model ends by itself, counted with the part that is continued. */
  readonly length: number | null
  readonly tool: ToolCall | null
}

/** The answer with number `choice` to a prompt. */
export function planAnswer(prompt: Prompt, sampling: Sampling, limits: PlanLimits, choice: number): Plan {
  const cap = Math.min(limits.room, sampling.maxTokens ?? Infinity)
  const salt = choice === 0 && sampling.seed === 0 ? 0 : spread(sampling.seed * 31 + choice + 1)
  if (limits.tool) return planTool(limits.tool, cap)
  if (sampling.schema !== undefined) {
    const chance = spread(readText(prompt.text, salt).hash) % 1000
    return planText(JSON.stringify(valueFor(sampling.schema, chance)), cap, sampling)
  }
  return planWords(prompt, sampling, { salt, cap, length: limits.length })
}

function planTool(tool: ToolCall, cap: number): Plan {
  const body = piecesOf(tool.arguments)
  const pieces = [tool.name, ...body.pieces].slice(0, cap)
  const isWhole = pieces.length === body.pieces.length + 1
  const sent = { ...tool, arguments: pieces.slice(1).join('') }
  const finish = isWhole ? (tool.forced ? 'stop' : 'tool_calls') : 'length'
  const tokens = Uint32Array.of(1, ...body.tokens).slice(0, cap)
  return { tokens, pieces, text: '', finish, stopReason: null, tool: sent }
}

/** A given text as an answer. */
function planText(text: string, cap: number, sampling: Sampling): Plan {
  const whole = piecesOf(text)
  return finishPlan({ pieces: whole.pieces, tokens: [...whole.tokens], cap, ended: true }, sampling)
}

interface WordLimits {
  readonly salt: number
  readonly cap: number
  readonly length: number | null
}

function planWords(prompt: Prompt, sampling: Sampling, limits: WordLimits): Plan {
  const opening = readText(prompt.text.slice(0, prompt.text.length - prompt.partial.length), limits.salt)
  const said = prompt.partial === '' ? 0 : encode(prompt.partial).length
  const usual = limits.length ?? Math.max(usualLength(opening), sampling.minTokens + said)
  const left = Math.max(1, usual - said)
  const end = sampling.ignoreEos && limits.length === null ? Infinity : left
  const count = Math.min(limits.cap, end)
  let state: TextState = prompt.partial === '' ? opening : readText(prompt.text, limits.salt)
  const pieces: string[] = []
  const tokens: number[] = []
  while (pieces.length < count) {
    const next = nextPiece(state)
    state = next.state
    pieces.push(next.piece)
    tokens.push(encode(next.piece)[0] as number)
  }
  return finishPlan({ pieces, tokens, cap: limits.cap, ended: end < limits.cap }, sampling)
}

interface Draft {
  readonly pieces: string[]
  readonly tokens: number[]
  readonly cap: number
  /** The model would end here by itself. */
  readonly ended: boolean
}

/** Cuts a draft at its cap and at the first stop string or token. */
function finishPlan(draft: Draft, sampling: Sampling): Plan {
  const { pieces, tokens } = {
    pieces: draft.pieces.slice(0, draft.cap),
    tokens: draft.tokens.slice(0, draft.cap),
  }
  const isWhole = draft.ended && pieces.length === draft.pieces.length
  const plain: Plan = {
    tokens: Uint32Array.from(tokens),
    pieces,
    text: pieces.join(''),
    finish: isWhole ? 'stop' : 'length',
    stopReason: null,
    tool: null,
  }
  if (sampling.stop.length + sampling.stopTokenIds.length === 0) return plain
  let text = ''
  for (const [index, piece] of pieces.entries()) {
    const before = text.length
    text += piece
    if (index + 1 < sampling.minTokens) continue
    const id = tokens[index] as number
    const stop = sampling.stop.find((word) => word !== '' && text.includes(word))
    const isStopToken = sampling.stopTokenIds.includes(id)
    if (stop === undefined && !isStopToken) continue
    const end = stop === undefined ? before : text.indexOf(stop)
    return { ...cutAt(plain, index + 1, end), finish: 'stop', stopReason: stop ?? id }
  }
  return plain
}

/** The first `count` tokens, of whose text `length` characters are told. */
function cutAt(plan: Plan, count: number, length: number): Plan {
  const pieces: string[] = []
  let told = 0
  for (const piece of plan.pieces.slice(0, count)) {
    const rest = piece.slice(0, Math.max(0, length - told))
    told += rest.length
    pieces.push(rest)
  }
  return { ...plan, tokens: plan.tokens.slice(0, count), pieces, text: pieces.join('') }
}

/** A text's tokens with the characters that each completes. */
export function piecesOf(text: string): { tokens: Uint32Array; pieces: string[] } {
  const tokens = encode(text)
  const decoder = new TextDecoder()
  const pieces = Array.from(tokens, (id) => decoder.decode(Uint8Array.from(tokenBytes(id)), { stream: true }))
  return { tokens, pieces }
}
