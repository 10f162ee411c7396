#!/usr/bin/env bun
// The program on Bun: `bun adapters/bun.ts [flags]`, with the words of the Node program; compiled, it is one file.
import process from 'node:process'
import { bunPlatform } from './bun/platform.ts'
import { main } from './cli/main.ts'
import { dialer } from './web/dial.ts'
import { serveApp } from './web/serve.ts'

await main(process.argv.slice(2), {
  load: async () => ({ serveApp: (config) => serveApp(bunPlatform, config) }),
  dialer,
})
