// The command line on Bun. Runs as it is imported.
import process from 'node:process'
import { main } from '../cli/main.ts'
import { dialer } from '../web/dial.ts'
import { serveApp } from '../web/serve.ts'
import { bunPlatform } from './platform.ts'

await main(process.argv.slice(2), {
  load: async () => ({ serveApp: (config) => serveApp(bunPlatform, config) }),
  dialer,
})
