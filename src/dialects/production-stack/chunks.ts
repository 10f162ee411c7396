// A prompt as production-stack's prefixaware cuts it: chunks of 128 characters, each known by a hash of all up to its end.
import { hashText } from '../../hash.ts'
import type { TopLevel } from '../../openai/scan.ts'

/** Characters (code points) of a chunk. */
const CHUNK = 128
/** What follows half a million characters makes no difference any more. */
const MOST = 4096

/** Chained hashes of the chunks of a body's prompt, the last one short; null: it has no prompt. `model` keeps models apart. */
export function chunksOf(top: TopLevel, model: string): Float64Array | null {
  const text = promptText(top)
  if (text === '') return null
  const hashes: number[] = []
  let hash = hashText(model)
  for (let at = 0; at < text.length && hashes.length < MOST;) {
    const end = chunkEnd(text, at)
    hash = hashText(`${hash.toString(36)} ${text.slice(at, end)}`)
    hashes.push(hash)
    at = end
  }
  return Float64Array.from(hashes)
}

function chunkEnd(text: string, from: number): number {
  let at = from
  for (let i = 0; i < CHUNK && at < text.length; i++) at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
  return at
}

/** The contents of all messages in a line each, else the prompt. */
function promptText(top: TopLevel): string {
  if (top.kind('messages') === 'array') {
    const messages = top.json('messages') as unknown[]
    return messages.flatMap((message) => contentText(message) ?? []).join('\n')
  }
  const kind = top.kind('prompt')
  if (kind === 'string') return top.string('prompt') ?? ''
  if (kind !== 'array') return ''
  const items = top.json('prompt') as unknown[]
  return items.map((item) => (typeof item === 'string' ? item : JSON.stringify(item))).join('\n')
}

function contentText(message: unknown): string | null {
  const content = (message as { content?: unknown } | null)?.content
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return null
  return content
    .flatMap((part: { type?: unknown; text?: unknown } | null) =>
      part?.type === 'text' && typeof part.text === 'string' ? part.text : [],
    )
    .join(' ')
}
