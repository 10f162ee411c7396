// `fetchway smoke URL`: is a router there, and does it answer a chat?
import type { Status } from './command.ts'
import { readOptions, type OptionTable } from './options.ts'

const OPTIONS: OptionTable = {
  authToken: {
    kind: 'text',
    about: 'bearer token; none: AUTH_TOKEN, or that of Distributed-LLM-Router’s README',
  },
  model: { kind: 'text', about: 'model that is asked for; none: MODEL, or the first that /v1/models names' },
}

const KNOWN_TOKEN = 'your-secret-token-here'

/** Asks /health, then for one sentence; prints what came. Status 1: one of them did not go well. */
export async function smoke(argv: readonly string[]): Promise<Status> {
  const [first = ''] = argv
  const isUrl = first !== '' && !first.startsWith('-')
  const read = readOptions('smoke URL', OPTIONS, isUrl ? argv.slice(1) : argv)
  if ('status' in read) return read.status
  const { env } = process
  const url = (isUrl ? first : (env['BASE_URL'] ?? 'http://localhost:8000')).replace(/\/+$/, '')
  const base = (/^https?:\/\//.test(url) ? url : `http://${url}`).replace(/\/v1$/, '')
  const given = read.options as { readonly authToken?: string; readonly model?: string }
  const token = given.authToken ?? env['AUTH_TOKEN'] ?? KNOWN_TOKEN
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  try {
    const health = await fetch(`${base}/health`)
    say(health, await health.text())
    const model = given.model ?? env['MODEL'] ?? (await firstModel(base, headers))
    const messages = [{ role: 'user', content: 'Say hello in one sentence.' }]
    const body = JSON.stringify({ ...(model !== '' && { model }), messages, max_tokens: 32 })
    const answer = await fetch(`${base}/v1/chat/completions`, { method: 'POST', headers, body })
    const text = await answer.text()
    say(answer, text)
    const isGood = health.ok && answer.ok && text.includes('"choices"')
    process.stdout.write(isGood ? 'smoke test passed\n' : 'smoke test FAILED\n')
    return isGood ? 0 : 1
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : ''
    process.stderr.write(`fetchway: ${base} does not answer${cause}\n`)
    return 1
  }
}

const say = ({ status, headers }: Response, text: string) => {
  const node = headers.get('x-routed-node') ?? headers.get('x-fetchway-worker')
  process.stdout.write(`${status}${node === null ? '' : ` by ${node}`} ${text.trim()}\n`)
}

/** Empty where nobody tells: then the router's default is asked for. */
async function firstModel(base: string, headers: Record<string, string>): Promise<string> {
  const response = await fetch(`${base}/v1/models`, { headers })
  const list = response.ok ? ((await response.json()) as { data?: readonly { id?: string }[] }) : {}
  return list.data?.[0]?.id ?? ''
}
