// The demo's clients: they chat, stream, come back with their history, embed, and some hang up.
import { ALIAS, ENGINE_HEADER, MODELS } from './demo-fleet.ts'

/** One call as its client saw it. */
export interface Seen {
  readonly engine: string
  readonly isStream: boolean
  /** Left by its client on purpose. */
  readonly isAborted: boolean
  /** Why it failed; null when it did not. */
  readonly failure: string | null
  /** Milliseconds to the first token; null when it does not stream. */
  readonly firstToken: number | null
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly outputTokens: number
}

interface Usage {
  readonly prompt_tokens?: number
  readonly completion_tokens?: number
  readonly prompt_tokens_details?: { readonly cached_tokens?: number } | null
}

type Message = { readonly role: string; readonly content: string }

const SYSTEMS: readonly string[] = ['support', 'coding', 'travel'].map((topic) =>
  `You are the ${topic} assistant of a company that answers briefly. `.repeat(24),
)
const QUESTIONS: readonly string[] = [
  'Where does the time of a request go?',
  'Explain prefix caching in two sentences.',
  'Which of these plans would you take, and why?',
  'Write a short reply to this customer.',
]

/** Clients that work at the same time until they are told to stop. */
export class Load {
  readonly seen: Seen[] = []
  /** While set, clients of `MODELS.other` do not stream: a stream that has begun is the one thing that dies with its engine. */
  holdsStreams = false
  /** Streams of `MODELS.other` that have not ended. */
  streams = 0
  inFlight = 0
  readonly #url: string
  readonly #random: () => number
  readonly #embeds: boolean
  readonly #stopped = new AbortController()

  /** @param embeds whether the engines have /v1/embeddings */
  constructor(url: string, random: () => number, embeds: boolean) {
    this.#url = url
    this.#embeds = embeds
    this.#random = random
  }

  /** Runs `clients` clients; resolves when all have ended their last call after `stop`. */
  async run(clients: number): Promise<void> {
    await Promise.all(Array.from({ length: clients }, (_, index) => this.#client(index)))
  }

  stop(): void {
    this.#stopped.abort()
  }

  async #client(index: number): Promise<void> {
    const system = SYSTEMS[index % SYSTEMS.length] ?? ''
    const model = index % 3 === 2 ? MODELS.other : index % 3 === 1 ? ALIAS.name : MODELS.chat
    for (let session = 0; !this.#stopped.signal.aborted; session++) {
      if (index % 4 === 3 && session % 2 === 1) await this.#call(...aside(model, session, this.#embeds))
      else await this.#conversation(model, system, `client-${index}-${session}`)
    }
  }

  async #conversation(model: string, system: string, session: string): Promise<void> {
    const messages: Message[] = [{ role: 'system', content: system }]
    const turns = 2 + Math.floor(this.#random() * 3)
    for (let turn = 0; turn < turns && !this.#stopped.signal.aborted; turn++) {
      messages.push({ role: 'user', content: QUESTIONS[Math.floor(this.#random() * QUESTIONS.length)] ?? '' })
      const stream = this.#random() < 0.7 && !(this.holdsStreams && model === MODELS.other)
      const body = {
        model,
        messages,
        max_tokens: 16 + Math.floor(this.#random() * 48),
        stream,
        ...(stream ? { stream_options: { include_usage: true } } : {}),
      }
      const answer = await this.#call('/v1/chat/completions', body, session)
      messages.push({ role: 'assistant', content: answer })
      await pause(20 + this.#random() * 120)
    }
  }

  /** Makes one call, notes what was seen of it, and returns the text of the answer. */
  async #call(path: string, body: Readonly<Record<string, unknown>>, session = ''): Promise<string> {
    const isStream = body['stream'] === true
    const isCounted = isStream && body['model'] === MODELS.other
    const call = new Call(this.#url + path, isStream, isStream && this.#random() < 0.04)
    this.inFlight++
    if (isCounted) this.streams++
    try {
      await call.make(JSON.stringify(body), session)
    } catch (error) {
      call.failure ??= error instanceof Error ? error.message : String(error)
    }
    this.inFlight--
    if (isCounted) this.streams--
    this.seen.push(call.seen())
    return call.text
  }
}

/** A call that is no chat: path and body. */
function aside(model: string, turn: number, embeds: boolean): [string, Readonly<Record<string, unknown>>] {
  const text = QUESTIONS[turn % QUESTIONS.length] ?? ''
  if (embeds) return ['/v1/embeddings', { model: MODELS.embedding, input: text }]
  return ['/v1/completions', { model, prompt: text, max_tokens: 12 }]
}

class Call {
  text = ''
  failure: string | null = null
  readonly #url: string
  readonly #isStream: boolean
  readonly #leaves: boolean
  #engine = '?'
  #isAborted = false
  #firstToken: number | null = null
  #usage: Usage = {}

  constructor(url: string, isStream: boolean, leaves: boolean) {
    this.#url = url
    this.#isStream = isStream
    this.#leaves = leaves
  }

  async make(body: string, session: string): Promise<void> {
    const startedAt = performance.now()
    const leaving = new AbortController()
    const headers = {
      'content-type': 'application/json',
      ...(session === '' ? {} : { 'x-session-id': session }),
    }
    const response = await fetch(this.#url, { method: 'POST', headers, body, signal: leaving.signal })
    this.#engine = response.headers.get(ENGINE_HEADER) ?? '?'
    if (!response.ok) {
      this.failure = `${response.status} ${(await response.text()).slice(0, 200)}`
    } else if (this.#isStream && response.body) await this.#readStream(response.body, startedAt, leaving)
    else this.#readAnswer((await response.json()) as Answer)
  }

  async #readStream(
    body: ReadableStream<Uint8Array>,
    startedAt: number,
    leaving: AbortController,
  ): Promise<void> {
    let rest = ''
    let isDone = false
    for await (const chunk of body.pipeThrough(
      new TextDecoderStream() as TransformStream<Uint8Array, string>,
    )) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines.filter((text) => text.startsWith('data: '))) {
        if (line === 'data: [DONE]') isDone = true
        else this.#readAnswer(JSON.parse(line.slice('data: '.length)) as Answer)
      }
      if (this.text !== '') this.#firstToken ??= performance.now() - startedAt
      if (this.#leaves && this.text.length > 20) {
        this.#isAborted = true
        leaving.abort()
        return
      }
    }
    if (!isDone) this.failure = 'the stream ended early'
  }

  #readAnswer(answer: Answer): void {
    if (answer.error) this.failure = JSON.stringify(answer.error)
    const choice = answer.choices?.[0]
    this.text += choice?.delta?.content ?? choice?.message?.content ?? choice?.text ?? ''
    if (answer.usage) this.#usage = answer.usage
  }

  seen(): Seen {
    return {
      engine: this.#engine,
      isStream: this.#isStream,
      isAborted: this.#isAborted,
      failure: this.#isAborted ? null : this.failure,
      firstToken: this.#firstToken,
      promptTokens: this.#usage.prompt_tokens ?? 0,
      cachedTokens: this.#usage.prompt_tokens_details?.cached_tokens ?? 0,
      outputTokens: this.#usage.completion_tokens ?? 0,
    }
  }
}

interface Answer {
  readonly error?: unknown
  readonly usage?: Usage | null
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null }
    readonly message?: { readonly content?: string | null }
    readonly text?: string
  }[]
}

/** Waits without keeping anything else from going on. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
