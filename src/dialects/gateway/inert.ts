// The fixed list of what flags of these gateways have no effect here, each with its reason. A flag that is not on it works.

export const TOKENIZING =
  'the router does not tokenize: chat templates and parsers are left to the engines, which have their own'
export const GRPC = 'workers are reached over HTTP'
export const MCP = 'tools are called by clients or engines, not by the router'
export const HISTORY = 'responses and conversations are stored by the engines'
export const WASM = 'there are no plug-ins in WebAssembly'
export const MESH = 'routers share nothing, and agree by hashing'
export const MINI = 'the whole router is used in place of the small one'
export const PROGRAMS = 'there is no scheduling by programs'
