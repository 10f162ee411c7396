// What a prefill engine told with its answer, put into the decode engine's, so that both read as one engine's would.
import type { Usage } from '../actors/ask.ts'
import { join } from '../openai/bytes.ts'
import { elementsOf } from '../openai/elements.ts'
import { scanTop, type TopLevel } from '../openai/scan.ts'
import { BodyError } from '../openai/skip.ts'
import { editBody, type Edit } from '../openai/spans.ts'
import { readEvent, SseSplitter } from '../openai/sse.ts'
import { usageIn } from '../openai/usage.ts'

const decoder = new TextDecoder()
const encoder = new TextEncoder()
const OPEN_ARRAY = 0x5b

/** Counts of a prompt, which only the engine that computed it knows. */
const COUNTS = ['cached_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens', 'input_tokens']
const DETAILS = ['prompt_tokens_details', 'input_tokens_details']
/** Log probabilities of the prompt, in SGLang's `meta_info`. */
const INPUT_LOGPROBS = ['input_token_logprobs', 'input_top_logprobs', 'input_token_ids_logprobs']
/** Where streams of the Responses and Messages APIs keep the usage. */
const WRAPPERS = ['response', 'message']

/** Whether there may be something to merge in text of a stream. */
export const mayTell = (text: string): boolean => /"(?:usage|meta_info)"\s*:\s*\{/.test(text)

/** A prefill engine's whole answer, by the sequence that each part of it is of. */
export class Told {
  readonly #parts = new Map<number, TopLevel>()

  /** Reads JSON, a list of answers, or an event stream; of what is none of them nothing is known. */
  constructor(answer: Uint8Array, isStream: boolean) {
    try {
      if (isStream) this.#readEvents(answer)
      else if (answer[0] === OPEN_ARRAY)
        for (const [index, part] of partsOf(answer).entries()) this.#parts.set(index, scanTop(part))
      else this.#parts.set(0, scanTop(answer))
    } catch (error) {
      if (!(error instanceof BodyError)) throw error
    }
  }

  /** Token counts; null when none were told. */
  usage(): Usage | null {
    const all = [...this.#parts.values()].map((top) => ({
      usage: top.json('usage'),
      meta_info: top.json('meta_info'),
    }))
    return usageIn(all)
  }

  /** The decode engine's whole answer with what the prefill engine knew; the same bytes when that is nothing. */
  merge(answer: Uint8Array): Uint8Array {
    try {
      if (answer[0] !== OPEN_ARRAY) return this.#merged(answer, 0)
      const parts = partsOf(answer).map((part, index) => decoder.decode(this.#merged(part, index)))
      return encoder.encode(`[${parts.join(',')}]`)
    } catch (error) {
      // Not one of the answers that we know: it passes as it is.
      if (error instanceof BodyError) return answer
      throw error
    }
  }

  /** The same for one event of a stream, as it lies in the bytes. */
  mergeEvent(event: Uint8Array): Uint8Array {
    const text = decoder.decode(event)
    if (!mayTell(text)) return event
    const line = /^data: ?(\{.*\})\r?$/m.exec(text)
    if (line === null) return event
    const data = encoder.encode(line[1] as string)
    const merged = this.merge(data)
    return merged === data
      ? event
      : encoder.encode(text.replace(line[1] as string, () => decoder.decode(merged)))
  }

  #merged(answer: Uint8Array, given: number): Uint8Array {
    const top = scanTop(answer)
    const own = this.#parts.get(top.number('index') ?? given) ?? this.#parts.get(0)
    const edits = own === undefined ? [] : editsFor(top, own)
    return edits.length > 0 ? join(editBody(answer, top, edits)) : answer
  }

  #readEvents(answer: Uint8Array): void {
    for (const event of new SseSplitter().push(answer)) {
      const { data } = readEvent(event)
      if (data === null || !data.startsWith('{')) continue
      const outer = scanTop(encoder.encode(data))
      const wrapper = WRAPPERS.find((key) => outer.kind(key) === 'object')
      const top = wrapper === undefined ? outer : inner(outer, wrapper)
      if (top && (top.kind('usage') === 'object' || top.kind('meta_info') === 'object'))
        this.#parts.set(top.number('index') ?? 0, top)
    }
  }
}

function editsFor(top: TopLevel, given: TopLevel): Edit[] {
  const edits = [...usageEdits(top, given), ...metaEdits(top, given), ...choiceEdits(top, given)]
  if (given.kind('prompt_logprobs') === 'array')
    edits.push({ kind: 'set', key: 'prompt_logprobs', value: given.raw('prompt_logprobs')! })
  for (const key of WRAPPERS) {
    const wrapped = inner(top, key)
    const changes = wrapped === null ? [] : usageEdits(wrapped, given)
    if (wrapped && changes.length > 0) edits.push({ kind: 'set', key, value: textWith(wrapped, changes) })
  }
  return edits
}

function usageEdits(top: TopLevel, given: TopLevel): Edit[] {
  const own = inner(top, 'usage')
  const told = inner(given, 'usage')
  if (own === null || told === null) return []
  const edits: Edit[] = shared(own, told, COUNTS).map(([inner, value]) => setIn('usage', inner, value))
  for (const key of DETAILS) {
    const toldDetails = inner(told, key)
    if (toldDetails === null) continue
    const details = inner(own, key)
    const changes = details && shared(details, toldDetails, toldDetails.keys())
    if (details === null) edits.push(setIn('usage', key, told.raw(key)!))
    else if (changes && changes.length > 0)
      edits.push(
        setIn(
          'usage',
          key,
          textWith(
            details,
            changes.map(([inner, value]) => set(inner, value)),
          ),
        ),
      )
  }
  return edits
}

function metaEdits(top: TopLevel, given: TopLevel): Edit[] {
  const own = inner(top, 'meta_info')
  const told = inner(given, 'meta_info')
  if (own === null || told === null) return []
  const edits: Edit[] = shared(own, told, COUNTS).map(([inner, value]) => setIn('meta_info', inner, value))
  for (const key of INPUT_LOGPROBS) {
    if (told.kind(key) !== 'array') continue
    const [before, after] = [told.raw(key)!, own.raw(key)]
    // An engine that has all of them by itself has the same.
    if (before === after) continue
    edits.push(setIn('meta_info', key, own.kind(key) === 'array' ? concat(before, after!) : before))
  }
  return edits
}

/** vLLM's completions have the prompt's log probabilities in each choice. */
function choiceEdits(top: TopLevel, given: TopLevel): Edit[] {
  const [own, told] = [choicesOf(top), choicesOf(given)]
  let isChanged = false
  const texts = own.map((choice, index) => {
    const source = told[index] ?? told[0]
    if (source?.kind('prompt_logprobs') !== 'array') return decoder.decode(choice.bytes)
    isChanged = true
    return textWith(choice, [set('prompt_logprobs', source.raw('prompt_logprobs')!)])
  })
  return isChanged ? [set('choices', `[${texts.join(',')}]`)] : []
}

function choicesOf(top: TopLevel): TopLevel[] {
  const span = top.kind('choices') === 'array' ? top.span('choices') : null
  if (span === null) return []
  return elementsOf(top.bytes, span).map(({ start, end }) => scanTop(top.bytes.subarray(start, end)))
}

/** The object at a key, by itself. */
function inner(top: TopLevel, key: string): TopLevel | null {
  const span = top.kind(key) === 'object' ? top.span(key) : null
  return span && scanTop(top.bytes.subarray(span.start, span.end))
}

/** Keys that both have and where they differ, with the value of the second. */
function shared(own: TopLevel, told: TopLevel, keys: readonly string[]): [string, string][] {
  return keys.flatMap((key): [string, string][] => {
    const [before, value] = [own.raw(key), told.raw(key)]
    return before === null || value === null || before === value ? [] : [[key, value]]
  })
}

/** Two lists of JSON text, one after the other. */
function concat(first: string, second: string): string {
  const [a, b] = [first.slice(1, -1).trim(), second.slice(1, -1).trim()]
  return `[${[a, b].filter((text) => text !== '').join(',')}]`
}

const partsOf = (answer: Uint8Array): Uint8Array[] =>
  elementsOf(answer, { start: 0, end: answer.length }).map(({ start, end }) => answer.subarray(start, end))

const textWith = (top: TopLevel, edits: readonly Edit[]): string =>
  decoder.decode(join(editBody(top.bytes, top, edits)))

const set = (key: string, value: string): Edit => ({ kind: 'set', key, value })
const setIn = (key: string, inner: string, value: string): Edit => ({ kind: 'setIn', key, inner, value })
