// Endpoints of what lives inside that gateway and not here: they say so in its shapes, and what to do in their place.
import type { Core } from '../../core.ts'
import { json } from '../../routes/reply.ts'
import { missingField, objectOf, plain, wrongMethod } from '../gateway/answers.ts'
import { failure } from './refusals.ts'

type Answer = (request: Request, core: Core) => Response | Promise<Response>

/** A path, the methods that it has there, and the answer; `id`: its part in parentheses. */
interface Row {
  readonly path: RegExp
  readonly methods: Readonly<Record<string, (id: string) => Answer>>
}

const TOKENIZING =
  'Tokenizers live in the engines here: POST /v1/tokenize and /v1/detokenize are answered by them, and none is loaded into the router.'
const PARSING = (flag: string) =>
  `Parsers live in the engines here: start them with ${flag}, and their answers come parsed.`
const STORING =
  'The router stores no conversations (--history-backend has no effect): send the whole conversation as input, or previous_response_id to engines that store responses.'
const PLUGINS = 'The router runs no plug-ins in WebAssembly.'

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i

const ROWS: readonly Row[] = [
  {
    path: /^\/v1\/tokenizers$/,
    methods: {
      POST: () => fields(['name', 'source'], () => notHere(501, TOKENIZING, 'tokenizers_not_supported')),
      GET: () => () => json({ tokenizers: [] }),
    },
  },
  {
    path: /^\/v1\/tokenizers\/([^/]+)$/,
    methods: {
      GET: (id) => () => tokenizerError(`Tokenizer '${id}' not found`, 'tokenizer_not_found'),
      DELETE: (id) => () => json({ success: false, message: `Tokenizer '${id}' not found` }, 404),
    },
  },
  {
    path: /^\/v1\/tokenizers\/([^/]+)\/status$/,
    methods: {
      GET: (id) => () => tokenizerError(`Tokenizer '${id}' not found and no pending job`, 'not_found'),
    },
  },
  {
    path: /^\/parse\/function_call$/,
    methods: { POST: () => fields(['text', 'tools', 'tool_call_parser'], unparsed('--tool-call-parser')) },
  },
  {
    path: /^\/parse\/reasoning$/,
    methods: { POST: () => fields(['text', 'reasoning_parser'], unparsed('--reasoning-parser')) },
  },
  { path: /^\/wasm$/, methods: { POST: () => noPlugins, GET: () => noPlugins } },
  {
    path: /^\/wasm\/([^/]+)$/,
    methods: { DELETE: (id) => (UUID.test(id) ? noPlugins : () => plain(400, 'expected a UUID')) },
  },
]

const conversation = () => noConversation
/** Where the workers store none themselves. */
const CONVERSATIONS: readonly Row[] = [
  { path: /^\/v1\/conversations$/, methods: { POST: () => unstored } },
  {
    path: /^\/v1\/conversations\/([^/]+)$/,
    methods: { GET: conversation, POST: conversation, DELETE: conversation },
  },
  { path: /^\/v1\/conversations\/([^/]+)\/items$/, methods: { GET: conversation, POST: conversation } },
  {
    path: /^\/v1\/conversations\/([^/]+)\/items\/[^/]+$/,
    methods: { GET: conversation, DELETE: conversation },
  },
]

/** The answer for a path of such a function; undefined: it is none. `storesThere`: workers have conversations of their own. */
export function absent(method: string, path: string, storesThere: boolean): Answer | undefined {
  for (const { path: pattern, methods } of storesThere ? ROWS : [...ROWS, ...CONVERSATIONS]) {
    const found = pattern.exec(path)
    if (!found) continue
    const make = Object.hasOwn(methods, method) ? methods[method] : undefined
    return make ? make(found[1] ?? '') : () => wrongMethod(Object.keys(methods).join(','))
  }
  return undefined
}

/** Of the functions, those whose use is part of the control plane. */
export const isGuarded = (path: string): boolean => !path.startsWith('/v1/conversations')

/** Checks that the body has the fields, as there, before it answers. */
function fields(names: readonly string[], answer: Answer): Answer {
  return async (request, core) => {
    const body = await objectOf(request)
    if (body instanceof Response) return body
    const missing = names.find((name) => body[name] === undefined)
    return missing === undefined ? answer(request, core) : plain(422, missingField(missing))
  }
}

const notHere = (status: number, message: string, code: string): Response =>
  json({ error: { message, type: 'not_implemented', code } }, status)

const tokenizerError = (message: string, type: string): Response => json({ error: { message, type } }, 404)

/** Its status and shape where it has no parsers. */
const unparsed =
  (flag: string): Answer =>
  () =>
    json({ error: PARSING(flag), success: false }, 503)

/** Its status where plug-ins are off. */
const noPlugins: Answer = () => failure(500, 'wasm_not_enabled', PLUGINS)

const noConversation: Answer = () => json({ error: 'Conversation not found' }, 404)

/** The original's memory of nothing says yes, and then does not find it; kept by --strict-compat. */
const unstored: Answer = (_request, { config, host }) => {
  if (!config.strictCompat) return notHere(501, STORING, 'conversations_not_supported')
  let id = 'conv_'
  while (id.length < 55) id += Math.floor(host.random() * 16).toString(16)
  return json({ id, object: 'conversation', created_at: Math.floor(host.now() / 1000) })
}
