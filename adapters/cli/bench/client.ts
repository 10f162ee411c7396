// One chat call to any OpenAI endpoint, timed, with as little of a client in between as Node has.
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'

export interface Target {
  /** With or without `/v1` at its end. */
  readonly baseUrl: string
  readonly token: string
}

/** A call that ended; times are ms from sending it. */
export interface Timed {
  readonly latency: number
  /** Null where it did not stream, or nothing came. */
  readonly firstToken: number | null
  readonly promptTokens: number
  readonly completionTokens: number
  /** What it said. */
  readonly text: string
  /** The node that answered, where a header names it. */
  readonly node: string | null
  /** Null: it went well. */
  readonly failure: string | null
}

/** A call that takes longer is given up, ms. */
const TIMEOUT = 180_000
const NODE_HEADERS = ['x-routed-node', 'x-fetchway-worker', 'x-simulated-engine']

export class Client {
  readonly #url: URL
  readonly #token: string
  readonly #agent: HttpAgent

  constructor({ baseUrl, token }: Target) {
    const base = baseUrl.replace(/\/+$/, '').replace(/\/v1$/, '')
    this.#url = new URL(`${base}/v1/chat/completions`)
    this.#token = token
    const keep = { keepAlive: true, maxSockets: Infinity, noDelay: true }
    this.#agent = this.#url.protocol === 'https:' ? new HttpsAgent(keep) : new HttpAgent(keep)
  }

  /** Sends a chat. Never rejects: what went wrong is in `failure`. */
  async chat(body: Readonly<Record<string, unknown>>): Promise<Timed> {
    const startedAt = performance.now()
    const reading = new Reading(startedAt)
    try {
      const response = await this.#send(JSON.stringify(body))
      reading.head(response)
      for await (const chunk of response) reading.chunk(chunk as Buffer)
      reading.end()
    } catch (error) {
      reading.failure ??= error instanceof Error ? error.message : String(error)
    }
    return reading.timed()
  }

  close(): void {
    this.#agent.destroy()
  }

  #send(body: string): Promise<IncomingMessage> {
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      ...(this.#token !== '' && { authorization: `Bearer ${this.#token}` }),
    }
    const send = this.#url.protocol === 'https:' ? httpsRequest : httpRequest
    return new Promise((resolve, reject) => {
      const options = { method: 'POST', agent: this.#agent, headers, timeout: TIMEOUT }
      const request = send(this.#url, options, resolve)
      request.once('error', reject)
      request.once('timeout', () => request.destroy(new Error('no answer in time')))
      request.end(body)
    })
  }
}

interface Answer {
  readonly usage?: { readonly prompt_tokens?: number; readonly completion_tokens?: number } | null
  readonly choices?: readonly {
    readonly message?: { readonly content?: string | null }
    readonly delta?: { readonly content?: string | null }
  }[]
}

class Reading {
  failure: string | null = null
  readonly #startedAt: number
  #node: string | null = null
  #isStream = false
  #isOk = true
  #rest = ''
  #text = ''
  #chunks = 0
  #firstToken: number | null = null
  #usage: NonNullable<Answer['usage']> = {}
  #status = 0

  constructor(startedAt: number) {
    this.#startedAt = startedAt
  }

  head({ statusCode = 0, headers }: IncomingMessage): void {
    this.#status = statusCode
    this.#isOk = statusCode === 200
    this.#isStream = this.#isOk && (headers['content-type'] ?? '').startsWith('text/event-stream')
    for (const name of NODE_HEADERS) this.#node ??= (headers[name] as string | undefined) ?? null
  }

  chunk(bytes: Buffer): void {
    this.#rest += bytes.toString('latin1')
    if (!this.#isStream) return
    const lines = this.#rest.split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line.startsWith('data: {')) this.#take(JSON.parse(decoded(line.slice(6))) as Answer)
      else if (line.startsWith('data: [DONE]')) this.#isOk = true
    }
  }

  end(): void {
    if (this.#isStream) {
      if (this.#text === '') this.failure = 'the stream held no token'
      return
    }
    const text = decoded(this.#rest)
    if (this.#isOk) this.#take(JSON.parse(text) as Answer)
    else this.failure = `${this.#status} ${text.slice(0, 200)}`
  }

  timed(): Timed {
    return {
      latency: performance.now() - this.#startedAt,
      firstToken: this.#firstToken,
      promptTokens: this.#usage.prompt_tokens ?? 0,
      completionTokens: this.#usage.completion_tokens ?? this.#chunks,
      text: this.#text,
      node: this.#node,
      failure: this.failure,
    }
  }

  #take({ choices, usage }: Answer): void {
    const said = choices?.[0]?.delta?.content ?? choices?.[0]?.message?.content ?? ''
    if (said !== '' && this.#isStream) {
      this.#firstToken ??= performance.now() - this.#startedAt
      this.#chunks++
    }
    this.#text += said
    if (usage) this.#usage = usage
  }
}

/** Chunks are cut anywhere: they are gathered as bytes in a text, and decoded by the line. */
const decoded = (text: string): string => Buffer.from(text, 'latin1').toString('utf8')
