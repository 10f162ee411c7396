// The parameters of a generation, read from the bodies of all generating endpoints.
import { isFields, listField, numberField, objectField, type Fields } from './fields.ts'
import { EngineRefusal } from './refusal.ts'

export interface Sampling {
  /** Null: nobody said. */
  readonly maxTokens: number | null
  readonly minTokens: number
  readonly stop: readonly string[]
  readonly stopTokenIds: readonly number[]
  readonly choices: number
  readonly seed: number
  readonly ignoreEos: boolean
  /** A JSON schema that the answer has to satisfy, or undefined. */
  readonly schema: unknown
  /** Alternatives shown for each token; null: no logprobs. */
  readonly logprobs: number | null
  readonly returnTokenIds: boolean
  readonly stream: boolean
  readonly includeUsage: boolean
  readonly continuousUsage: boolean
}

/** Choices that one call may ask for. */
const MOST_CHOICES = 16_384

/** Reads the OpenAI names (and the engines' own); refuses what real engines refuse. */
export function readSampling(body: Fields): Sampling {
  const temperature = numberField(body, 'temperature')
  if (temperature !== null && temperature < 0) throw tooSmall('temperature', temperature)
  const maxTokens = numberField(body, 'max_completion_tokens') ?? numberField(body, 'max_tokens')
  // Scoring clients echo a prompt and want no token behind it.
  const least = body['echo'] === true ? 0 : 1
  if (maxTokens !== null && !(Number.isInteger(maxTokens) && maxTokens >= least)) {
    const message = `max_tokens must be at least 1, got ${maxTokens}. (parameter=max_tokens, value=${maxTokens})`
    throw new EngineRefusal('bad_request', message, { param: 'max_tokens' })
  }
  const choices = numberField(body, 'n') ?? 1
  if (!Number.isInteger(choices) || choices < 1 || choices > MOST_CHOICES) {
    throw new EngineRefusal('bad_request', `n must be between 1 and ${MOST_CHOICES}, got ${choices}.`, {
      param: 'n',
    })
  }
  const stream = body['stream'] === true
  if (!stream && isFields(body['stream_options'])) {
    const message = 'Stream options can only be defined when `stream=True`. (parameter=stream_options)'
    throw new EngineRefusal('bad_request', message, { param: 'stream_options' })
  }
  const options = objectField(body, 'stream_options')
  const ids = body['stop_token_ids']
  return {
    maxTokens,
    minTokens: numberField(body, 'min_tokens') ?? 0,
    stop: listField(body, 'stop'),
    stopTokenIds: Array.isArray(ids) ? ids.filter((id) => typeof id === 'number') : [],
    choices,
    seed: numberField(body, 'seed') ?? 0,
    ignoreEos: body['ignore_eos'] === true,
    schema: schemaOf(body),
    logprobs: logprobsOf(body),
    returnTokenIds: body['return_token_ids'] === true,
    stream,
    includeUsage: options['include_usage'] === true,
    continuousUsage: options['continuous_usage_stats'] === true,
  }
}

function tooSmall(name: string, value: number): EngineRefusal {
  const shown = Number.isInteger(value) ? `${value}.0` : String(value)
  const message = `${name} must be non-negative, got ${shown}. (parameter=${name}, value=${shown})`
  return new EngineRefusal('bad_request', message, { param: name })
}

/** vLLM's default bound. */
const MOST_LOGPROBS = 20

function logprobsOf(body: Fields): number | null {
  const asked = body['logprobs'] === true ? (numberField(body, 'top_logprobs') ?? 0) : body['logprobs']
  if (typeof asked !== 'number') return null
  if (Number.isInteger(asked) && asked >= 0 && asked <= MOST_LOGPROBS) return asked
  const message = `Requested sample logprobs of ${asked}, which is greater than max allowed: ${MOST_LOGPROBS}`
  throw new EngineRefusal('bad_request', message, { param: 'logprobs' })
}

function schemaOf(body: Fields): unknown {
  const format = objectField(body, 'response_format')
  if (format['type'] === 'json_object') return { type: 'object', properties: { answer: { type: 'string' } } }
  if (format['type'] === 'json_schema') {
    const named = objectField(format, 'json_schema')
    return named['schema'] ?? named
  }
  return body['guided_json'] ?? objectField(body, 'structured_outputs')['json']
}
