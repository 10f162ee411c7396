// Finds the canonical bytes of a prompt: those parts of a JSON body that the engine makes the prompt of, in the prompt's order.
import { bitsOf } from '../openai/key-bits.ts'
import type { TopLevel } from '../openai/scan.ts'
import type { ByteText } from '../openai/words.ts'
import { addMedia, addText, type Draft } from './draft.ts'
import { walkParts } from './parts.ts'

/**
 * A prompt as stretches of the body it came in. Two prompts that begin alike have spans whose bytes, one after the other, begin
 * alike, whatever else their bodies hold.
 */
export interface Prompt {
  readonly bytes: Uint8Array
  /** The whole of them, where it was read before. */
  readonly text?: ByteText
  /** Seeds the hashes together with `keys`: the model as the workers know it. */
  readonly model: string | null
  /** Values that part caches from each other (adapter, salt): kind, start, end of each. */
  readonly keys: readonly number[]
  /** Three numbers a span: start, end, and 1 for media, which count by their digest. Ends at `MAX_BYTES`. */
  readonly spans: readonly number[]
  /** Canonical bytes in all; media count as `MEDIA_BYTES` each. */
  readonly length: number
}

/**
 * Members that keep caches apart. An engine that doesn't know one of them ignores it, and then so little is sent there that it doesn't
 * matter.
 */
const KEYS = ['lora_path', 'cache_salt', 'extra_key', 'chat_template'] as const
/** Members that come before the prompt itself, in the order in which templates render them. */
const HEADS = ['tools', 'functions', 'documents', 'instructions', 'system'] as const
/** `/generate` sends media apart from the text that they belong to: other media make another prompt. */
const MEDIA = ['image_data', 'video_data', 'audio_data'] as const
/** The prompt itself is the first of these that there is. */
const BODIES = ['messages', 'prompt', 'input', 'text', 'input_ids'] as const

/** Chats mostly have none of what comes before the prompt. */
const LEAD_BITS = bitsOf([...KEYS, ...MEDIA, ...HEADS])

const QUOTE = 0x22
const OPEN_OBJECT = 0x7b
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d

/**
 * The prompt of a JSON body, without copying a byte of it: `messages`, `prompt` (text, texts, token ids), Responses' `input` with
 * `instructions`, Anthropic's `system` with `messages`, or `/generate`'s `text` or `input_ids`, led by the tools. Bytes count as
 * they came, so key order and blanks matter; `cache_control` marks, the brackets around a list and whatever follows it do not.
 * Never throws: a body that makes no sense has few spans or strange ones.
 */
export function readPrompt(top: TopLevel, model: string | null): Prompt {
  const draft: Draft = { spans: [], length: 0 }
  const keys: number[] = []
  if (top.mayHave(LEAD_BITS)) readLead(draft, keys, top)
  const head = draft.length
  for (const name of BODIES) {
    addValue(draft, top, name, false)
    if (draft.length > head) break
  }
  return { bytes: top.bytes, text: top.text, model, keys, spans: draft.spans, length: draft.length }
}

/** What keeps caches apart, and what comes before the prompt. */
function readLead(draft: Draft, keys: number[], top: TopLevel): void {
  for (let kind = 0; kind < KEYS.length; kind++) {
    const index = top.lastIndex(KEYS[kind]!)
    if (index >= 0 && !isNull(top.bytes, top.startAt(index)))
      keys.push(kind, top.startAt(index), top.endAt(index))
  }
  for (const name of MEDIA) addValue(draft, top, name, true)
  for (const name of HEADS) addValue(draft, top, name, false)
}

/** Texts and lists; an object is something else by that name (Responses have a `text` and a `prompt` of settings). */
function addValue(draft: Draft, top: TopLevel, name: string, isMedia: boolean): void {
  const index = top.lastIndex(name)
  if (index < 0) return
  const start = top.startAt(index)
  const first = top.bytes[start]
  if (first === QUOTE) {
    if (isMedia) addMedia(draft, start + 1, top.endAt(index) - 1)
    else addText(draft, start + 1, top.endAt(index) - 1)
  } else if (first === OPEN_ARRAY) addList(draft, top, index, isMedia)
}

/**
 * What is inside the brackets, so that a longer list goes on where a shorter one ends. A list of texts is cut inside the first
 * quote too: then a text alone and the first of a list are the same prompt. Where it is known to be plain nothing is left out.
 */
function addList(draft: Draft, top: TopLevel, index: number, isMedia: boolean): void {
  const { bytes } = top
  let start = top.startAt(index)
  let end = top.endAt(index)
  while (start < end && (bytes[start] === OPEN_ARRAY || bytes[start]! <= 0x20)) start++
  while (end > start && (bytes[end - 1] === CLOSE_ARRAY || bytes[end - 1]! <= 0x20)) end--
  if (isMedia || (bytes[start] === OPEN_OBJECT && !top.isPlainAt(index))) {
    walkParts(draft, top.text, { start, end }, isMedia)
    return
  }
  const isText = bytes[start] === QUOTE
  addText(draft, isText ? start + 1 : start, isText && bytes[end - 1] === QUOTE ? end - 1 : end)
}

function isNull(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0x6e
}
