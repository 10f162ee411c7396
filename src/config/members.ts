// What the members of an object in the configuration are for, in the words of the reference and editors: as apart as those of the keys
// (words.ts).

/** By the path of the object, lists and maps left out, then by member. */
export const members: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  workers: {
    url: 'http://gpu1:8000, https://…, or unix:/run/engine.sock',
    engine: 'found by asking when absent',
    models: 'models it serves; found by asking when absent',
    apiKey: 'sent to this worker in place of the client key',
    headers: 'extra headers for this worker',
    maxInFlight: 'overrides maxInFlightPerWorker',
    via: 'on Cloudflare Workers alone: the VPC or service binding that its calls go through',
    kvEvents:
      'tcp://HOST:PORT of its KV events, @tcp://*:PORT to be connected to, push, or off; commas between those of its ranks; found by asking when absent',
    kvEventsReplay: 'tcp://HOST:PORT where missed KV events are had, or off',
    ranks: 'data-parallel ranks behind its URL; overrides ranks',
    probes: 'real calls that it is probed with in place of healthPath: all must answer JSON',
    kvAddress: 'HOST:PORT of its KV connector (vLLM P2P/NCCL), where that is not its URL’s',
    transfer: 'its MoRI-IO connector',
    past: 'what it brings along: calls that others have there, and the seconds that its last answers took',
    bootstrapPort: 'of a prefill worker: where its bootstrap server listens (default: 8998); null: not told',
  },
  apiKeys: {
    tenant: 'name in metrics and logs',
    requestsPerMinute: '0: no limit',
    tokensPerMinute: '0: no limit',
    priority: 'default priority of this key; lower goes first',
  },
  tunnelTokens: {
    token: 'what the worker sends first',
    name: 'the only worker name that it is good for; none: any',
    revoked: 'turned away, and cut off at a reload',
  },
  controlKeys: {
    id: 'named in the audit log',
    name: 'of whoever holds it',
    role: 'admin: may change things; user: may not',
    key: 'what is sent',
  },
  providers: {
    name: 'what its models are said to be owned by',
    url: 'its address, with or without /v1: https://api.example.com',
    apiKey: 'sent as a bearer token; a client’s own key is never',
    timeout: 'until its answer begins, and silence inside one',
    maxRetries: 'further attempts when it could not be reached',
    headers: 'sent with each call',
    models: 'models that are taken from it; those that its /v1/models does not list are left out',
  },
  'providers.models': {
    id: 'as the provider knows it',
    type: 'kind of calls that it takes; told, not checked',
    aliases: 'other names of it here',
  },
  lmcache: {
    port: 'where its workers push what they hold (their controller_pull_url)',
    replyPort: 'where they ask (controller_reply_url); none: nowhere',
    heartbeatPort: 'where their heartbeats come in, if not at port',
    workerTimeout: 'a worker that sent heartbeats is forgotten after so long without',
  },
  semanticCache: {
    embedder:
      'what turns a chat into a vector: a model of the fleet, URL#MODEL of an embeddings endpoint, or an ES module',
    apiKey: 'sent to that endpoint as a bearer token',
    threshold: 'least cosine of two chats that get the same answer',
    size: 'answers that are kept; the least used goes first',
    directory: 'where they are kept over a restart; none: in memory alone',
  },
}
