// Clients on bare sockets: they keep connections, send nearly the same request again, and look whether all that comes is their own.
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { newAsk, newHabit, type Ask } from './asks.ts'
import { marksOf, type Seen } from './engine.ts'
import { digest, eventsOf, MessageReader, put, valueOf, type Message } from './messages.ts'
import { Random } from './random.ts'
import type { Door } from './router.ts'

export interface ClientRig {
  readonly door: Door
  readonly seen: Seen
  readonly tally: Tally
  readonly wrong: (what: string) => void
  /** Bun's server closes a connection on which the next request comes before the answer. */
  readonly canPipeline: boolean
}

/** What came of all calls. */
export class Tally {
  sent = 0
  whole = 0
  /** By the router itself. */
  own = 0
  broken = 0
  refused = 0
  left = 0
  /** Answered whole by an engine, but a connection broke for the answer before. */
  behind = 0
  /** The same, and nothing before them broke. */
  lost = 0
}

/** How long nothing may come while an answer is due, ms. */
const PATIENCE = 20_000

/** One connection from its beginning to its end. */
export async function converse(rig: ClientRig, seed: number): Promise<void> {
  const random = new Random(seed)
  const client = new Client(rig, `seed ${seed}`)
  const habit = newHabit(random)
  const line = rig.canPipeline && random.once(3) ? random.int(5) : 0
  for (let i = random.int(30); i >= 0 && client.isOpen; i--) {
    const ask = newAsk(habit, random)
    client.expect(ask)
    if (habit.isSlow || random.once(12)) client.rest(random.int(random.once(4) ? 500 : 100))
    const isLeaving = random.once(60)
    if (isLeaving) return client.leave(ask, random)
    await (random.once(40) ? client.sendSlowly(ask, random) : put(client.socket, ask.bytes, random))
    if (ask.isLast) break
    await client.answered(line)
  }
  if (random.once(10)) client.halfClose()
  await client.answered(0)
  client.socket.destroy()
}

class Client {
  readonly socket: Socket
  readonly #rig: ClientRig
  readonly #name: string
  readonly #reader: MessageReader
  #due: Ask[] = []
  #hasLeft = false
  #heardAt = Date.now()
  /** The last answers, for messages of what went wrong. */
  readonly #past: string[] = []
  #wake: () => void = () => undefined
  isOpen = true

  constructor(rig: ClientRig, name: string) {
    this.#rig = rig
    this.#name = name
    this.#reader = new MessageReader({
      isRequests: false,
      isBare: () => this.#due[0]?.method === 'HEAD',
      message: (message) => this.#answer(message),
      wrong: (what) => this.#wrong(`an answer is none: ${what}`),
    })
    const socket = connect({ ...rig.door, noDelay: true, allowHalfOpen: true })
    this.socket = socket
    socket.on('data', (bytes) => {
      this.#heardAt = Date.now()
      this.#reader.feed(bytes)
    })
    socket.on('end', () => {
      this.#reader.end()
      socket.destroy()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => this.#closed())
  }

  expect(ask: Ask): void {
    this.#due.push(ask)
    this.#rig.tally.sent++
  }

  /** Does not read for so long, ms. */
  rest(time: number): void {
    this.socket.pause()
    setTimeout(() => this.socket.resume(), time)
  }

  async sendSlowly(ask: Ask, random: Random): Promise<void> {
    await put(this.socket, ask.bytes.subarray(0, ask.bodyAt), random)
    await sleep(random.int(30))
    await put(this.socket, ask.bytes.subarray(ask.bodyAt), random)
  }

  /** Goes somewhere in its request, or in the answer. */
  async leave(ask: Ask, random: Random): Promise<void> {
    this.#hasLeft = true
    this.#rig.tally.left += this.#due.length
    const size = random.once(2) ? ask.bytes.length : random.int(ask.bytes.length)
    await put(this.socket, ask.bytes.subarray(0, size), random)
    if (random.once(2)) await sleep(random.int(20))
    if (random.once(2)) this.socket.destroy()
    else if ('port' in this.#rig.door) this.socket.resetAndDestroy()
    else this.socket.destroy()
  }

  /** Sends no more. As node:http sees it, it may not wait for an answer either. */
  halfClose(): void {
    this.#hasLeft = true
    this.socket.end()
  }

  /** Waits until at most so many answers are due. */
  async answered(most: number): Promise<void> {
    this.#heardAt = Date.now()
    while (this.#due.length > most && this.isOpen) {
      if (Date.now() - this.#heardAt > PATIENCE) {
        this.#wrong(`no answer to ${this.#due[0]!.line} ${this.#due[0]!.mark}, ${this.#due.length} due`)
        return void this.socket.destroy()
      }
      let timer: ReturnType<typeof setTimeout> | undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        timer = setTimeout(resolve, 1000)
      })
      clearTimeout(timer)
    }
  }

  #wrong(what: string): void {
    this.#rig.wrong(`${this.#name}: ${what}`)
  }

  #answer(message: Message): void {
    const ask = this.#due.shift()
    this.#past.push(
      `${ask?.line} ${message.start} ${valueOf(message.lines, 'connection')} ${this.#endOf(ask)}`,
    )
    this.#wake()
    if (ask === undefined) return this.#wrong(`an answer that nobody asked for: ${message.start}`)
    const text = message.body.toString('latin1')
    for (const mark of marksOf(`${message.lines.join('\n')}\n${text}`))
      if (mark !== ask.mark) this.#wrong(`${mark} in the answer to ${ask.mark} ${ask.line}`)
    if (ask.isOwn) return this.#own(ask, message)
    if (ask.id !== null && valueOf(message.lines, 'x-request-id') !== ask.id)
      this.#wrong(`${ask.mark}: id ${valueOf(message.lines, 'x-request-id')} in place of ${ask.id}`)
    if (valueOf(message.lines, 'x-fetchway-error') !== null) return this.#refusal(ask, message, text)
    // An engine that answered before it had read all.
    if (valueOf(message.lines, 'x-early') !== null && text === 'early') return void this.#rig.tally.whole++
    this.#checkEcho(ask, message)
    this.#checkBody(ask, message, text)
  }

  /** How it went out at the engine. What is too short to be marked may have gone out in any way. */
  #endOf(ask: Ask | undefined): string | undefined {
    if (ask === undefined) return undefined
    const isMarked = ask.bytes.includes(ask.mark)
    return this.#rig.seen.ends.get(ask.mark) ?? (isMarked ? undefined : 'broken')
  }

  #refusal(ask: Ask, message: Message, text: string): void {
    this.#rig.tally.refused++
    const end = this.#endOf(ask)
    if (end === 'whole' || !/ 50[234] /.test(message.start))
      this.#wrong(`${ask.mark} ${ask.line} (${end}): ${message.start} ${text.slice(0, 200)}`)
  }

  #own(ask: Ask, { start, lines, body }: Message): void {
    const isRight = start.includes(ask.line.includes('nowhere') ? ' 404 ' : ' 200 ')
    const isBare = ask.method === 'HEAD' || body.length > 0 || ask.line.includes('health')
    if (!isRight || !isBare || valueOf(lines, 'x-echo') !== null) this.#wrong(`${ask.line}: ${start}`)
    this.#rig.tally.own++
  }

  #checkEcho(ask: Ask, { start, lines }: Message): void {
    const { seen } = this.#rig
    const about = `${ask.mark} ${ask.line} ${start}`
    if (valueOf(lines, 'x-line') === null)
      return this.#wrong(
        `${about}: no echo, but ${JSON.stringify({ lines, sent: ask.bytes.toString('latin1', 0, 900), past: this.#past.slice(-3) })}`,
      )
    const differs = (what: string, own: string | null) => {
      const came = valueOf(lines, what)
      if (came !== own)
        this.#wrong(`${about}: ${what} ${came} in place of ${own}\n${seen.texts.get(came ?? '')}`)
    }
    differs('x-line', ask.line)
    differs('x-heads', ask.heads)
    differs('x-body', ask.body)
    differs('x-rid', valueOf(lines, 'x-request-id'))
  }

  #checkBody(ask: Ask, message: Message, text: string): void {
    const { tally } = this.#rig
    const sum = valueOf(message.lines, 'x-sum')
    if (ask.method === 'HEAD' || message.start.includes(' 204 ')) return void tally.whole++
    const isWhole = digest(Buffer.from(eventsOf(text), 'latin1')) === sum
    const isUsageLeft = ask.isStream && !ask.asksUsage && text.includes('"usage":{')
    if (isUsageLeft) this.#wrong(`${ask.mark} ${ask.line}: usage that it did not ask for`)
    if (isWhole) return void tally.whole++
    // Over unix sockets, and on Bun to who sends no more and so has left, nothing but an end can tell of a break.
    const isTellable = 'port' in this.#rig.door && (this.#rig.canPipeline || !this.#hasLeft)
    const isBroken = this.#hasLeft || this.#endOf(ask) === 'broken'
    if (message.isEof && isBroken && !isTellable && !ask.isStream) return void tally.broken++
    if (message.isEof && this.#hasLeft && !isTellable) return
    const isToldBroken = /data: \{"error":[^\n]*\n\n$/.test(text)
    if (this.#endOf(ask) === 'broken' && isToldBroken && ask.isStream) return void tally.broken++
    this.#wrong(
      `${ask.mark} ${ask.line} (${this.#endOf(ask)}): ${text.length} bytes are not what was sent: ${text.slice(-300)}`,
    )
  }

  #closed(): void {
    this.isOpen = false
    this.#wake()
    const due = this.#due
    const { tally } = this.#rig
    if (due.length === 0) return
    const first = due[0]!
    const { partial } = this.#reader
    for (const mark of marksOf(partial))
      if (mark !== first.mark) this.#wrong(`${mark} in the broken answer to ${first.mark} ${first.line}`)
    if (this.#hasLeft) return
    // Of what was broken in its middle the client must not hear as of a whole, and all behind it is lost.
    if (this.#endOf(first) === 'broken') tally.broken++
    else {
      tally.lost++
      this.#rig.wrong(
        `${this.#name}: closed before the answer to ${first.mark} ${first.line} (${this.#endOf(first)}), ${partial.length} bytes here, behind ${this.#past.slice(-3).join('; ')}`,
      )
    }
    tally.behind += due.length - 1
  }
}
