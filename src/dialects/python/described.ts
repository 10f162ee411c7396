// The endpoints of routers that are programs of FastAPI, as they are described there.
import type { DialectName } from '../names.ts'

export interface Endpoint {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** One line. */
  readonly about: string
  /** Name of the body's schema. */
  readonly body?: string
  /** Content type of the answer; absent: JSON. */
  readonly answers?: string
}

export interface Described {
  readonly title: string
  /** Where people read it. */
  readonly docs: string
  /** Keys may be asked for. */
  readonly isKeyed: boolean
  readonly endpoints: readonly Endpoint[]
}

const get = (path: string, about: string): Endpoint => ({ method: 'GET', path, about })
const post = (path: string, about: string, body?: string): Endpoint => ({
  method: 'POST',
  path,
  about,
  ...(body !== undefined && { body }),
})

const CALLS = [
  post('/v1/chat/completions', 'Chat completion', 'ChatCompletionRequest'),
  post('/v1/completions', 'Text completion', 'CompletionRequest'),
]
const METRICS: Endpoint = { ...get('/metrics', 'Prometheus metrics'), answers: 'text/plain' }
const NODES = [
  get('/nodes/status', 'Nodes and their state'),
  post('/nodes/add', 'Add a node', 'Node'),
  post('/nodes/remove', 'Remove a node', 'Node'),
  post('/nodes/terminate', 'End a node and remove it', 'Node'),
  post('/nodes/terminate_all', 'End all nodes'),
]

/** By dialect; others are not described. */
export const described: Readonly<Partial<Record<DialectName, Described>>> = {
  dlrouter: {
    title: 'DLRouter',
    docs: '/',
    isKeyed: true,
    endpoints: [
      get('/health', 'Whether the router is there'),
      get('/v1/models', 'Models of the nodes'),
      ...CALLS,
      ...NODES,
    ],
  },
  'lmdeploy-proxy': {
    title: 'LMDeploy proxy',
    docs: '/',
    isKeyed: true,
    endpoints: [
      get('/v1/models', 'Models of the nodes'),
      ...CALLS,
      ...NODES,
      get('/nodes/terminate_all', 'End all nodes'),
      post('/distserve/connection_warmup', 'Introduce all prefill nodes to all decode nodes'),
    ],
  },
  'distributed-llm-router': {
    title: 'Distributed LLM Router',
    docs: '/docs',
    isKeyed: true,
    endpoints: [
      get('/health', 'The gateway and its nodes'),
      get('/stats', 'Load, latency, errors and health of each node'),
      METRICS,
      ...CALLS.slice(0, 1),
    ],
  },
  'production-stack': {
    title: 'production-stack router',
    docs: '/docs',
    isKeyed: false,
    endpoints: [
      get('/health', 'Whether the router is there'),
      get('/version', 'Version of the router'),
      get('/engines', 'Engines and their state'),
      get('/v1/models', 'Models of the engines'),
      METRICS,
      ...CALLS,
      post('/v1/embeddings', 'Embeddings', 'Request'),
      post('/v1/rerank', 'Reranking', 'Request'),
      post('/v1/score', 'Scores', 'Request'),
      post('/v1/responses', 'Responses', 'Request'),
      post('/tokenize', 'Tokens of a text', 'Request'),
      post('/detokenize', 'Text of tokens', 'Request'),
    ],
  },
}
