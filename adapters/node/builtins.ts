// Node's own modules that an import would make larger than they are: it reads each of their exports, and behind some of those of
// http lies all of `fetch`, behind one of tls each root certificate, behind those of util its threads. What a plain router never needs is
// loaded when it is asked for.
export const http = process.getBuiltinModule('node:http')
export const https = () => process.getBuiltinModule('node:https')
export const tls = () => process.getBuiltinModule('node:tls')
export const util = process.getBuiltinModule('node:util')
