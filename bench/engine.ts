// Two mock engines in one process for the benchmark: a scripted HTTP server on bare sockets, so that it costs little.
// Usage: node bench/engine.ts PORT PORT
import { createServer, type Socket } from 'node:net'
import { eventCount } from './bodies.ts'

/** What one engine has seen; served at /bench/counters. */
interface Counters {
  /** Chat completions answered. */
  served: number
  /** Bodies that came with exactly the bytes that the client sent. */
  exact: number
  /** Bodies that were edited on the way (re-serialised, or keys added). */
  edited: number
  /** Bodies that were cut or lost their marker. */
  wrong: number
  /** Streams whose client left before the end. */
  left: number
}

interface Message {
  readonly head: string
  readonly body: Buffer
  /** Bytes of the buffer that this message took. */
  readonly end: number
}

const text =
  'This is one of the answers that the mock engine gives, as long as a short answer of a model is. '.repeat(5)
const usage =
  '"usage":{"prompt_tokens":256,"completion_tokens":64,"total_tokens":320,"prompt_tokens_details":{"cached_tokens":0}}'
const about = '"created":1700000000,"model":"bench-model"'
const jsonReply = respond(
  `{"id":"chatcmpl-bench","object":"chat.completion",${about},"choices":[{"index":0,"message":{"role":"assistant","content":"${text}"},"finish_reason":"stop"}],${usage}}`,
)
/** As vLLM's prefill engine answers over NIXL. */
const prefillReply = respond(
  `{"id":"chatcmpl-bench","object":"chat.completion",${about},"choices":[{"index":0,"message":{"role":"assistant","content":" one"},"finish_reason":"length"}],${usage},"kv_transfer_params":{"do_remote_prefill":true,"do_remote_decode":false,"remote_block_ids":[[${Array.from({ length: 16 }, (_, i) => i + 1).join()}]],"remote_engine_id":"92713e7b-7f7b-45b0-9160-946d817847a2","remote_request_id":"chatcmpl-9a31852c32ac54be-aee4a31d","remote_host":"127.0.0.1","remote_port":8600,"tp_size":1,"remote_num_tokens":256}}`,
)
const sseHead = Buffer.from(
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n',
)
const events = Array.from({ length: eventCount }, (_, index) =>
  frame(
    `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk",${about},"choices":[{"index":0,"delta":{"content":" word${index}"},"logprobs":null,"finish_reason":${index === eventCount - 1 ? '"stop"' : 'null'}}]}\n\n`,
  ),
)
const usageEvent = frame(
  `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk",${about},"choices":[],${usage}}\n\n`,
)
const sseEnd = Buffer.from(`${frame('data: [DONE]\n\n').toString()}0\r\n\r\n`)

/** As SGLang's prefill engine answers: one token. */
const prefillStream = Buffer.concat([sseHead, events[0] as Buffer, usageEvent, sseEnd])
const firstPort = Number(process.argv[2])

/** What routers ask before they take a worker. */
const answers: Readonly<Record<string, string>> = {
  '/health': '{"status":"ok"}',
  '/health_generate': '{"status":"ok"}',
  '/v1/models':
    '{"object":"list","data":[{"id":"bench-model","object":"model","created":1700000000,"owned_by":"vllm","max_model_len":131072}]}',
  '/get_model_info': '{"model_path":"bench-model","tokenizer_path":"bench-model","is_generation":true}',
  '/model_info': '{"model_path":"bench-model","tokenizer_path":"bench-model","is_generation":true}',
  '/get_server_info':
    '{"model_path":"bench-model","served_model_name":"bench-model","dp_size":1,"tp_size":1,"version":"0.5.0","max_total_num_tokens":1000000}',
  '/server_info':
    '{"model_path":"bench-model","served_model_name":"bench-model","dp_size":1,"tp_size":1,"version":"0.5.0","max_total_num_tokens":1000000}',
  '/get_load': '[{"dp_rank":0,"num_reqs":0,"num_waiting_reqs":0,"num_tokens":0}]',
  '/load': '{"server_load":0}',
  '/version': '{"version":"0.11.0"}',
}
const metrics =
  'vllm:num_requests_running{engine="0",model_name="bench-model"} 0\nvllm:num_requests_waiting{engine="0",model_name="bench-model"} 0\n'

for (const port of process.argv.slice(2)) listen(Number(port))

function listen(port: number): void {
  const counters: Counters = { served: 0, exact: 0, edited: 0, wrong: 0, left: 0 }
  const server = createServer({ noDelay: true }, (socket) => {
    let pending: Buffer[] = []
    let missing = 0
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      pending.push(chunk)
      missing -= chunk.length
      if (missing > 0) return
      let bytes = pending.length === 1 ? chunk : Buffer.concat(pending)
      for (;;) {
        const message = cut(bytes)
        if (typeof message === 'number') {
          missing = message
          break
        }
        bytes = bytes.subarray(message.end)
        answer(socket, message, counters)
      }
      pending = bytes.length > 0 ? [bytes] : []
    })
  })
  server.listen(port, '127.0.0.1')
}

/** Takes one whole request off the front, or says how many more bytes it needs at least. */
function cut(bytes: Buffer): Message | number {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return 1
  const head = bytes.toString('latin1', 0, headEnd).toLowerCase()
  const start = headEnd + 4
  const lengthAt = head.indexOf('\r\ncontent-length:')
  if (lengthAt >= 0) {
    const length = Number.parseInt(head.slice(lengthAt + 17, lengthAt + 30), 10)
    const lacking = start + length - bytes.length
    return lacking > 0 ? lacking : { head, body: bytes.subarray(start, start + length), end: start + length }
  }
  return head.includes('\r\ntransfer-encoding: chunked')
    ? unchunk(bytes, head, start)
    : { head, body: Buffer.alloc(0), end: start }
}

function unchunk(bytes: Buffer, head: string, start: number): Message | number {
  const parts: Buffer[] = []
  let at = start
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return 1
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    const end = lineEnd + 2 + size + 2
    if (end > bytes.length) return end - bytes.length
    if (size === 0) return { head, body: Buffer.concat(parts), end }
    parts.push(bytes.subarray(lineEnd + 2, end - 2))
    at = end
  }
}

function answer(socket: Socket, message: Message, counters: Counters): void {
  const [method, target = ''] = message.head.slice(0, message.head.indexOf('\r\n')).split(' ')
  const path = target.split('?')[0] ?? ''
  if (method === 'pri') socket.destroy()
  else if (path.endsWith('/chat/completions')) chat(socket, message.body, counters)
  else if (path === '/bench/counters') socket.write(respond(JSON.stringify(counters)))
  else if (path === '/metrics') socket.write(respond(metrics, 'text/plain'))
  else
    socket.write(
      path in answers
        ? respond(answers[path] as string)
        : respond('{"detail":"Not Found"}', undefined, '404 Not Found'),
    )
}

function chat(socket: Socket, body: Buffer, counters: Counters): void {
  const markerAt = body.indexOf('bench:')
  const [, reply = '', length = '0'] = body.toString('latin1', markerAt, markerAt + 40).split(':')
  const expected = Number(length)
  if (markerAt < 0 || body.length < expected * 0.9 || body.length > expected * 1.1 + 2048) {
    counters.wrong++
    console.error(
      `a body of ${body.length} bytes in place of ${expected}: ${body.toString('latin1', 0, 300)}`,
    )
    socket.write(respond('{"error":{"message":"body was cut"}}', undefined, '500 Internal Server Error'))
    return
  }
  counters[body.length === expected ? 'exact' : 'edited']++
  counters.served++
  if (body.includes('"do_remote_decode":true')) socket.write(prefillReply)
  else if (reply !== 'json' && socket.localPort === firstPort && body.includes('"bootstrap_room":'))
    socket.write(prefillStream)
  else if (reply === 'json') socket.write(jsonReply)
  else
    stream(socket, Number(reply.slice(3)), {
      counters,
      wantsUsage: /"include_usage": ?true/.test(body.toString('latin1')),
    })
}

function stream(socket: Socket, pace: number, about: { counters: Counters; wantsUsage: boolean }): void {
  socket.write(sseHead)
  let sent = 0
  const finish = () => {
    if (about.wantsUsage) socket.write(usageEvent)
    socket.write(sseEnd)
  }
  if (pace === 0) {
    for (const event of events) socket.write(event)
    return finish()
  }
  const timer = setInterval(() => {
    socket.write(events[sent++] as Buffer)
    if (sent < eventCount) return
    clearInterval(timer)
    socket.off('close', leave)
    finish()
  }, pace)
  const leave = () => {
    clearInterval(timer)
    about.counters.left++
  }
  socket.once('close', leave)
}

function respond(body: string, type = 'application/json', status = '200 OK'): Buffer {
  return Buffer.from(
    `HTTP/1.1 ${status}\r\ncontent-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

function frame(data: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(data).toString(16)}\r\n${data}\r\n`)
}
