// The entry point on Deno Deploy: the router of `deno serve`, with what a place of many instances needs said beforehand.
import process from 'node:process'

// Workers that the API adds are kept in the KV database that is assigned to the app, for all instances.
process.env['FETCHWAY_STATE'] ??= 'kv:fleet'
// Instances do not know each other's load: the same session comes to the same worker from each of them.
process.env['FETCHWAY_POLICY'] ??= 'consistent_hash'
// Deploy ends an instance 5 s after SIGINT.
process.env['FETCHWAY_GRACE'] ??= '4s'
process.env['FETCHWAY_LOG_FORMAT'] ??= 'json'

const { default: router } = await import('../../adapters/deno.ts')

export default router
