// The program on Deno: `deno task start [flags]`, with the words of the Node program.
import process from 'node:process'
import { main } from '../cli/main.ts'
import { dialer } from '../web/dial.ts'
import { serveApp } from '../web/serve.ts'
import { denoPlatform } from './platform.ts'
import { surroundings } from './surroundings.ts'

await main(process.argv.slice(2), {
  load: async () => ({ serveApp: (config) => serveApp(denoPlatform, config) }),
  dialer,
  at: surroundings(),
})
