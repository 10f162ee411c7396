// `fetchway bench chat`: users who talk in rounds over one system prompt; how long the first token takes, and what a router adds.
import type { Status } from '../command.ts'
import { readOptions, type OptionTable } from '../options.ts'
import { Client, type Timed } from './client.ts'
import { promptOf, quantile } from './load.ts'
import { Progress } from './progress.ts'
import { verdict, write } from './run.ts'

const OPTIONS: OptionTable = {
  baseUrl: { kind: 'text', initial: 'http://localhost:8000', about: 'an OpenAI endpoint' },
  direct: {
    kind: 'text',
    about: 'an engine behind it: talked to in turn, so that the difference is what the router adds',
  },
  authToken: { kind: 'text', initial: '', about: 'bearer token' },
  model: { kind: 'text', initial: 'mistralai/Mistral-7B-Instruct-v0.3', about: 'model that is asked for' },
  users: { kind: 'integer', initial: 10, about: 'users that talk at a time' },
  rounds: {
    kind: 'integer',
    initial: 10,
    about: 'questions of each user, each over all that was said before',
  },
  systemTokens: {
    kind: 'integer',
    initial: 1000,
    about: 'length of the system prompt that all share, about',
  },
  promptTokens: { kind: 'integer', initial: 20, about: 'length of each question, about' },
  maxTokens: { kind: 'integer', initial: 50, about: 'longest answer' },
  warmup: { kind: 'integer', initial: 3, about: 'rounds that are not counted' },
  think: {
    kind: 'integer',
    initial: 0,
    about:
      'pause of each user before each question, ms; 0: cores that are all busy count as what the router adds',
  },
  output: { kind: 'text', about: 'file of the results (JSON)' },
}

interface Talk {
  readonly model: string
  readonly users: number
  readonly rounds: number
  readonly warmup: number
  readonly systemTokens: number
  readonly promptTokens: number
  readonly maxTokens: number
  /** Milliseconds. */
  readonly think: number
}

/** Talks, and prints first-token p50 and p99. Status 1: not one call went well. */
export async function benchChat(argv: readonly string[]): Promise<Status> {
  const read = readOptions('bench chat', OPTIONS, argv)
  if ('status' in read) return read.status
  const { options } = read
  const token = String(options['authToken'])
  const talk = options as unknown as Talk
  const direct = options['direct'] as string | undefined
  const urls = [String(options['baseUrl']), ...(direct === undefined ? [] : [direct])]
  const clients = urls.map((baseUrl) => new Client({ baseUrl, token }))
  const all = (talk.rounds + talk.warmup) * talk.users * clients.length
  const progress = new Progress('chat', all)
  const calls = clients.map((): Timed[] => [])
  const user = (number: number) => converse(talk, number, { clients, calls, progress })
  await Promise.all(Array.from({ length: talk.users }, (_, number) => user(number)))
  for (const client of clients) client.close()
  const figures = calls.map((made) => figuresOf(made))
  for (const [i, one] of figures.entries()) process.stdout.write(`${lineOf(urls[i] ?? '', one)}\n`)
  const [through, straight] = figures
  if (through && straight)
    process.stdout.write(
      `added to the first token: p50 ${signed(through.first_token_p50_ms - straight.first_token_p50_ms)} ms, p99 ${signed(through.first_token_p99_ms - straight.first_token_p99_ms)} ms\n`,
    )
  const file = options['output'] as string | undefined
  if (file !== undefined)
    await write(
      file,
      JSON.stringify(
        figures.map((one, i) => ({ url: urls[i], ...one })),
        null,
        2,
      ),
    )
  return verdict(calls.flat())
}

/** One user: the same conversation with each endpoint, question by question, which goes first in turn. */
async function converse(
  talk: Talk,
  number: number,
  { clients, calls, progress }: { clients: readonly Client[]; calls: readonly Timed[][]; progress: Progress },
): Promise<void> {
  const system = { role: 'system', content: promptOf(talk.systemTokens) }
  const histories = clients.map((): unknown[] => [system])
  // Users don't ask all at once.
  await pause((talk.think * number) / talk.users)
  for (let round = 0; round < talk.warmup + talk.rounds; round++) {
    for (let turn = 0; turn < clients.length; turn++) {
      const at = (turn + round + number) % clients.length
      const history = histories[at] as unknown[]
      // Conversations with one endpoint must not warm those with another.
      const content = `${number}.${round}.${at} ${promptOf(talk.promptTokens)}`
      history.push({ role: 'user', content })
      await pause(talk.think)
      const { model, maxTokens } = talk
      const body = { model, messages: history, max_tokens: maxTokens, stream: true, user: `user-${number}` }
      const call = await (clients[at] as Client).chat(body)
      history.push({ role: 'assistant', content: call.text })
      if (round >= talk.warmup) calls[at]?.push(call)
      progress.step()
    }
  }
}

const pause = (ms: number) => ms > 0 && new Promise((resolve) => setTimeout(resolve, ms))

function figuresOf(calls: readonly Timed[]) {
  const good = calls.filter(({ failure }) => failure === null)
  const first = good.flatMap(({ firstToken }) => (firstToken === null ? [] : [firstToken]))
  return {
    calls: calls.length,
    failed: calls.length - good.length,
    first_token_p50_ms: quantile(first, 0.5),
    first_token_p99_ms: quantile(first, 0.99),
    latency_p50_ms: quantile(
      good.map(({ latency }) => latency),
      0.5,
    ),
  }
}

type Figures = ReturnType<typeof figuresOf>

const lineOf = (url: string, { calls, failed, first_token_p50_ms, first_token_p99_ms }: Figures): string =>
  `${url}: first token p50 ${first_token_p50_ms.toFixed(2)} ms, p99 ${first_token_p99_ms.toFixed(2)} ms (${calls} calls, ${failed} failed)`

const signed = (ms: number): string => `${ms < 0 ? '' : '+'}${ms.toFixed(2)}`
