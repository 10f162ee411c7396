// Encode workers (--epd-config): each image, sound or film of a chat is encoded there before the chat goes on, so that the prefill
// worker finds it in the encoder cache that they share.
import type { Core } from '../../core.ts'
import { askWorker } from '../../discovery/ask.ts'
import { opaqueId } from '../../hash.ts'
import type { WorkerRef } from '../../host.ts'
import type { Call } from '../../openai/call.ts'
import { pathname } from '../../openai/target.ts'
import { BodyError } from '../../openai/skip.ts'

const CHAT = '/v1/chat/completions'
const MEDIA: ReadonlySet<unknown> = new Set(['image_url', 'audio_url', 'video_url', 'input_audio'])
/** An encoder that takes longer, ms, is not waited for: the prefill worker encodes by itself. */
const PATIENCE = 60_000
/** Parts of one chat that are encoded ahead. */
const MOST = 64

class Encoders {
  readonly #workers: readonly WorkerRef[]
  #turn = 0
  #hasFailed = false

  constructor(urls: readonly string[]) {
    this.#workers = urls.map((url) => ({ id: opaqueId('e', url), url, engine: 'vllm' }))
  }

  /** Resolves when all media of the call are encoded, or can't be. Never rejects. */
  async encode({ path, body, model }: Call, core: Core): Promise<void> {
    if (pathname(path) !== CHAT || body.kind !== 'json') return
    let parts: readonly unknown[]
    try {
      parts = mediaOf(body.top.json('messages')).slice(0, MOST)
    } catch (error) {
      // No JSON inside: the engine refuses it.
      if (error instanceof BodyError) return
      throw error
    }
    await Promise.all(parts.map((part) => this.#encode(part, model, core)))
  }

  async #encode(part: unknown, model: string | null, { host, config }: Core): Promise<void> {
    const worker = this.#workers[this.#turn++ % this.#workers.length] as WorkerRef
    const { workerApiKey: apiKey } = config
    const question = {
      ...(model !== null && { model }),
      messages: [{ role: 'user', content: [part] }],
      max_tokens: 1,
      stream: false,
    }
    const asked = await askWorker(host, apiKey === undefined ? worker : { ...worker, apiKey }, {
      method: 'POST',
      path: CHAT,
      body: JSON.stringify(question),
      timeout: PATIENCE,
    })
    const isGood = asked.status >= 200 && asked.status <= 299
    if (!isGood && !this.#hasFailed) {
      const why = asked.status === 0 ? 'it cannot be reached' : `it answered ${asked.status}`
      host.log({
        level: 'warn',
        message: `encode worker ${worker.url}: ${why}: prefill workers encode themselves`,
      })
    }
    this.#hasFailed = !isGood
  }
}

/** The parts of all messages that are no text. */
function mediaOf(messages: unknown): unknown[] {
  if (!Array.isArray(messages)) return []
  return messages.flatMap((message) => {
    const content = (message as { content?: unknown } | null)?.content
    if (!Array.isArray(content)) return []
    return content.filter((part) => MEDIA.has((part as { type?: unknown } | null)?.type))
  })
}

/** Those that the options name; null: there are none. */
export function encodersOf(options: Readonly<Record<string, unknown>>): Encoders | null {
  const urls = options['encoders']
  return Array.isArray(urls) && urls.length > 0 ? new Encoders(urls as string[]) : null
}
