// Multipart bodies (audio, images, files): finds the model and whether to stream; large ones are passed on as they come.
import type { HeldBody } from '../admission/body.ts'
import type { Reading } from './reading.ts'
import { Refusal } from './errors.ts'
import { boundaryOf, peekMultipartModel, readMultipartField } from './multipart.ts'

/** A form that is in memory. */
export function readMultipart(held: HeldBody, type: string, request: Request): Reading {
  const boundary = boundaryOf(type)
  if (boundary === null)
    throw new Refusal(400, 'invalid_form', 'The content-type of a multipart body must name its boundary.')
  return {
    body: { kind: 'form', bytes: held.bytes, boundary },
    model: readMultipartField(held.bytes, boundary, 'model') ?? named(request),
    isStream: readMultipartField(held.bytes, boundary, 'stream') === 'true',
    release: held.release,
    size: held.bytes.length,
  }
}

/** A form too large to hold: its model must be in the first part, in the header `x-model`, or in the query. */
export async function streamMultipart(request: Request, type: string): Promise<Reading> {
  const boundary = boundaryOf(type)
  if (boundary === null)
    throw new Refusal(400, 'invalid_form', 'The content-type of a multipart body must name its boundary.')
  const reader = (request.body as ReadableStream<Uint8Array>).getReader()
  const { value: first = new Uint8Array(0) } = await reader.read()
  const model = named(request) ?? peekMultipartModel(first, boundary)
  return {
    body: { kind: 'stream', stream: continued(first, reader) },
    model,
    isStream: false,
    release() {},
    // Sound and pictures are not text: their bytes tell little of tokens.
    size: 0,
  }
}

const named = (request: Request): string | null =>
  request.headers.get('x-model') ?? new URL(request.url).searchParams.get('model')

function continued(
  first: Uint8Array,
  reader: ReadableStreamDefaultReader<Uint8Array>,
): ReadableStream<Uint8Array> {
  let pending: Uint8Array | null = first
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (pending) {
          controller.enqueue(pending)
          pending = null
          return
        }
        const { done, value } = await reader.read()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}
