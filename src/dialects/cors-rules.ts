// What pages are told where another router is stood in for: known before its surface is loaded, since preflights are answered first.
import type { Config } from '../config/schema.ts'
import type { CorsRules } from '../routes/cors.ts'

/** As Starlette answers where all is allowed, credentials too. */
const STARLETTE: CorsRules = {
  status: 200,
  methods: 'DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT',
  exposed: '*',
  withCredentials: true,
  maxAge: '600',
}

/** Of the Rust routers: without a list everything, with one little more than calls. Undefined: as natively. */
export function corsRulesOf({ dialect, corsOrigins }: Config): CorsRules | undefined {
  if (dialect === 'dlrouter' || dialect === 'lmdeploy-proxy') return STARLETTE
  if (dialect !== 'sglang-router' && dialect !== 'vllm-router') return undefined
  if (corsOrigins.includes('*')) return { status: 200, methods: '*', exposed: '*', answersAll: true }
  return {
    status: 200,
    methods: 'GET,POST,OPTIONS',
    headers: 'content-type,authorization',
    exposed: 'x-request-id',
    answersAll: true,
  }
}
