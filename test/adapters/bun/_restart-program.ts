// Runs inside Bun: prints a line as it starts, and what it was given once it has its settings.
import { writeSync } from 'node:fs'
import process from 'node:process'
import { restartWithSettings } from '../../../adapters/bun/restart.ts'

writeSync(1, `${process.pid}\n`)
restartWithSettings()
const { argv, execArgv, env } = process
const left = Object.keys(env).filter((name) => /^(?:BUN_JSC|MIMALLOC)_/.test(name))
writeSync(1, JSON.stringify({ args: argv.slice(2), execArgv, left, own: env['OWN'] }))
