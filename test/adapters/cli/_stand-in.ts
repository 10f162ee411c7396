// Stands in for `python3 -m sglang.launch_server`: takes its flags, tells them, and is a simulated engine.
import { serve } from '../../../adapters/node/http.ts'
import { createEngine } from '../../../src/simulator/engine.ts'

const argv = process.argv.slice(2)
const valueOf = (name: string): string => argv[argv.indexOf(name) + 1] ?? ''

process.stdout.write(`stand-in ${process.env['SGLANG_DP_RANK']}: ${argv.join(' ')}\n`)
const engine = createEngine({ engine: 'sglang', models: [valueOf('--model-path')], speed: 0 })
const options = { host: valueOf('--host'), port: Number(valueOf('--port')) }
const served = await serve((request) => engine.fetch(request), options)
process.once('SIGTERM', () => void served.close(0).then(() => process.exit(0)))
