// Files that the router keeps: upload, list, retrieve, content, delete, as OpenAI's API has them.
import { lengthOf, inTime } from '../admission/body.ts'
import { secondsOf } from '../batches/batch.ts'
import type { FileObject } from '../batches/files.ts'
import { PIECE } from '../batches/tables.ts'
import { readUpload, type Form } from '../batches/upload.ts'
import type { Core } from '../core.ts'
import { quoted, Refusal } from '../openai/errors.ts'
import { boundaryOf } from '../openai/multipart.ts'
import { accepted, listOf, noMethod, pageIn, type Kept } from './kept.ts'
import { json } from './reply.ts'

/** What a file may be for. */
const PURPOSES = ['batch', 'assistants', 'fine-tune', 'vision', 'user_data', 'evals']
/** The boundaries and fields around a file. Bytes. */
const AROUND = 65_536
const MOST = 10_000

/** Answers /v1/files and what is below it. Throws a `Refusal`. */
export async function files(core: Core, request: Request, kept: Kept): Promise<Response> {
  const { batches, owner, id, rest, manner } = kept
  const { method } = request
  if (id === '') {
    if (method === 'POST') return json(manner.file(await upload(core, request, kept)))
    if (method !== 'GET') throw noMethod(method, 'GET, POST')
    const query = new URL(request.url).searchParams
    const listed = await batches.files(owner, pageIn(query, MOST, MOST), query.get('purpose') ?? undefined)
    return json(listOf(listed, manner.file))
  }
  if (rest === 'content' && method === 'GET') return content(kept)
  if (rest !== '' || (method !== 'GET' && method !== 'DELETE'))
    throw noMethod(method, rest === '' ? 'GET, DELETE' : 'GET')
  if (method === 'DELETE') {
    if (!(await batches.removeFile(owner, id))) throw noFile(id)
    return json({ id, object: 'file', deleted: true })
  }
  return json(manner.file(await fileOf(kept)))
}

async function fileOf({ batches, owner, id }: Kept): Promise<FileObject> {
  const file = await batches.file(owner, id)
  if (!file) throw noFile(id)
  return file
}

async function upload(core: Core, request: Request, { batches, owner, manner }: Kept): Promise<FileObject> {
  const boundary = boundaryOf(request.headers.get('content-type') ?? '')
  if (boundary === null || request.body === null)
    throw new Refusal(
      400,
      'invalid_form',
      'Send the file as multipart/form-data with the parts file and purpose.',
    )
  const { maxFile } = core.config
  if (maxFile > 0 && (lengthOf(request.headers) ?? 0) > maxFile + AROUND)
    throw new Refusal(
      413,
      'file_too_large',
      `The file is larger than the ${maxFile} bytes allowed here (--max-file).`,
    )
  // A piece that is put together, and one that is on its way.
  core.buffers.reserve(2 * PIECE)
  core.live++
  const id = await Promise.resolve(batches.openFile(owner, manner.digits)).then(
    accepted,
    (error: unknown) => {
      release(core)
      throw error
    },
  )
  const incoming = new Incoming(request.body)
  try {
    const keep = async (piece: Uint8Array) => void accepted(await batches.append(id, piece))
    // One clock for all of it: who sends a byte now and then is too slow, too.
    const reading = readUpload(incoming.chunks(), boundary, keep)
    const form = await inTime(reading, incoming, core.config, core.host)
    return accepted(await batches.closeFile(id, uploadOf(form, manner.purpose)))
  } catch (error) {
    incoming.cancel()
    await batches.dropFile(id)
    throw error
  } finally {
    release(core)
  }
}

function release(core: Core): void {
  core.buffers.release(2 * PIECE)
  core.live--
}

/** A body as it comes, and how much of it came. */
class Incoming {
  count = 0
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader()
  }

  received = (): number => this.count

  /** Throws a `Refusal` when it breaks off. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const { done, value } = await this.#reader.read().catch(() => {
        throw new Refusal(400, 'body_broken', 'The request body ended before it was complete.')
      })
      if (done) return
      this.count += value.length
      yield value
    }
  }

  /** What else comes is not wanted. */
  cancel(): void {
    this.#reader.cancel().catch(() => undefined) // it broke already
  }
}

function uploadOf({ fields, filename }: Form, initial: string | undefined) {
  if (filename === null) throw missing('file')
  const purpose = fields.get('purpose') ?? initial
  if (!purpose) throw missing('purpose')
  if (initial === undefined && !PURPOSES.includes(purpose))
    throw new Refusal(
      400,
      'invalid_purpose',
      `purpose must be one of ${PURPOSES.join(', ')}, not ${quoted(purpose)}.`,
    )
  const [anchor, text] = [fields.get('expires_after[anchor]'), fields.get('expires_after[seconds]')]
  const asked = anchor === undefined && text === undefined ? undefined : { anchor, seconds: text }
  const seconds = secondsOf(asked)
  if (seconds === null)
    throw new Refusal(
      400,
      'invalid_expiry',
      'expires_after needs the anchor created_at and seconds from 3600 to 2592000.',
    )
  return { name: filename, purpose: purpose.slice(0, 64), ...(seconds > 0 && { seconds }) }
}

const missing = (name: string) =>
  new Refusal(400, 'missing_required_parameter', `Missing required parameter: '${name}'.`)

async function content(kept: Kept): Promise<Response> {
  const { batches, owner, id } = kept
  const { bytes } = await fileOf(kept)
  let at = 0
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const part = await batches.read(owner, id, at)
        if (!part) return controller.close()
        at = part.next
        controller.enqueue(part.bytes)
      },
    },
    { highWaterMark: 0 },
  )
  const headers = { 'content-type': 'application/octet-stream', 'x-content-type-options': 'nosniff' }
  return new Response(stream, { headers: { ...headers, 'content-length': String(bytes) } })
}

const noFile = (id: string) => new Refusal(404, 'file_not_found', `No such file: ${id.slice(0, 100)}.`)
