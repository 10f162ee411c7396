// The clients of the soak: most behave, three in ten leave in one of four places, and some ask for an engine that fails.
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http'

/** How one request ended. */
export type Ending = 'whole' | 'refused' | 'left' | 'broken' | 'error event' | 'hung'

export interface SoakOptions {
  readonly port: number
  readonly requests: number
  readonly clients: number
  readonly random: () => number
}

/** Where a client leaves: in the queue, before the first byte, within a stream, or in a call that does not stream. */
const places = ['queued', 'before first byte', 'mid-stream', 'non-streaming'] as const
type Place = (typeof places)[number]

const faults = [
  'die-before-head',
  'die-before-first',
  'die-after=3',
  'half-event-after=2',
  'stall-before-head',
  'stall-after=3',
  'status=503; retry-after=1',
  'status=500',
  'status=400',
]

/** A request that takes longer than every timeout of the router together was forgotten by it. */
const patience = 40_000

interface Visit {
  readonly stream: boolean
  readonly leave: Place | null
  readonly fault: string | null
}

/** Sends all requests; resolves to how many ended how, `ENDING` or `ENDING (what)`. */
export async function soak(options: SoakOptions): Promise<Map<string, number>> {
  const agent = new Agent({ keepAlive: true, maxSockets: options.clients * 2 })
  const endings = new Map<string, number>()
  let left = options.requests
  const client = async () => {
    while (left-- > 0) {
      const ending = await visit(options, agent, plan(options.random))
      endings.set(ending, (endings.get(ending) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: options.clients }, client))
  agent.destroy()
  return endings
}

function plan(random: () => number): Visit {
  const leave = random() < 0.3 ? (places[Math.floor(random() * places.length)] as Place) : null
  const stream = leave === 'mid-stream' || (leave !== 'non-streaming' && random() < 0.6)
  const fault =
    leave === null && random() < 0.06 ? (faults[Math.floor(random() * faults.length)] as string) : null
  return { stream, leave, fault: leave === 'before first byte' ? 'delay=300ms' : fault }
}

function visit(
  { port, random }: SoakOptions,
  agent: Agent,
  { stream, leave, fault }: Visit,
): Promise<string> {
  const text = `Question ${Math.floor(random() * 200)}: ${'tell me more of that. '.repeat(Math.floor(random() * 200))}`
  const body = JSON.stringify({
    model: 'demo-model',
    stream,
    max_tokens: 24,
    messages: [{ role: 'user', content: text }],
  })
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
  }
  if (fault !== null) headers['x-fault'] = fault
  return new Promise((resolve) => {
    const call = request({
      host: '127.0.0.1',
      port,
      method: 'POST',
      path: '/v1/chat/completions',
      headers,
      agent,
    })
    const timers = [setTimeout(() => end('hung'), patience)]
    const end = (ending: Ending, what = '') => {
      for (const timer of timers) clearTimeout(timer)
      resolve(what === '' ? ending : `${ending} (${what})`)
      if (ending !== 'whole' && ending !== 'refused' && ending !== 'error event') call.destroy()
    }
    if (leave !== null && leave !== 'mid-stream') {
      const after = leave === 'queued' ? random() * 15 : random() * 250
      timers.push(setTimeout(() => end('left', leave), after))
    }
    call.on('error', () => end('broken'))
    call.on('response', (response) =>
      read(response, { call, stream, leavesAt: leave === 'mid-stream' ? 1 + random() * 8 : Infinity, end }),
    )
    call.end(body)
  })
}

interface Reading {
  readonly call: ClientRequest
  readonly stream: boolean
  readonly leavesAt: number
  readonly end: (ending: Ending, what?: string) => void
}

function read(response: IncomingMessage, { stream, leavesAt, end }: Reading): void {
  let text = ''
  let chunks = 0
  response.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    if (++chunks >= leavesAt) end('left', 'mid-stream')
  })
  response.on('error', () => end('broken'))
  response.on('close', () => {
    if (!response.complete) end('broken')
  })
  response.on('end', () => {
    if (response.statusCode !== 200)
      end('refused', `${response.statusCode} ${/"code": ?"?(\w+)/.exec(text)?.[1] ?? ''}`)
    else if (!stream) end(isJson(text) ? 'whole' : 'broken', isJson(text) ? '' : 'cut JSON with a whole head')
    else if (text.endsWith('data: [DONE]\n\n') && !text.includes('data: {"error"')) end('whole')
    else if (text.includes('"error"')) end('error event')
    else end('broken', 'stream that looks finished')
  })
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    // That it is none is the answer.
    return false
  }
}
