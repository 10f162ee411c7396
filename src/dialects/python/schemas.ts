// What bodies hold, as JSON Schema: the fields that the router itself looks at. Others pass.

const text = { type: 'string' }
const messages = {
  anyOf: [text, { type: 'array', items: { type: 'object', additionalProperties: true } }],
}
const nodeStatus = {
  type: 'object',
  properties: {
    role: { enum: [1, 2, 3, 'HYBRID', 'PREFILL', 'DECODE'] },
    models: { type: 'array', items: text },
    speed: { anyOf: [{ type: 'number' }, { type: 'null' }] },
    zmq_address: { anyOf: [text, { type: 'null' }] },
  },
}

/** An object with these fields, and any others. */
const open = (properties: Readonly<Record<string, object>>, required: readonly string[] = []): object => ({
  type: 'object',
  properties,
  ...(required.length > 0 && { required }),
  additionalProperties: true,
})

const call = { model: text, stream: { type: 'boolean' }, max_tokens: { type: 'integer', minimum: 1 } }

/** By name, as in `#/components/schemas/NAME`. */
export const schemas: Readonly<Record<string, object>> = {
  ChatCompletionRequest: open({ ...call, messages }, ['messages']),
  CompletionRequest: open({ ...call, prompt: {} }, ['prompt']),
  Request: open({ model: text }),
  Node: open({ url: text, status: nodeStatus }, ['url']),
  HTTPValidationError: {
    type: 'object',
    properties: { detail: { type: 'array', items: { type: 'object', additionalProperties: true } } },
  },
}
