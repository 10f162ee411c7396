#!/usr/bin/env node
// The program. Plain JavaScript that any Node parses: where this Node is too old it hands over to a newer one.
import { existsSync } from 'node:fs'
import module from 'node:module'
import { handOver, isFit } from './node/handover.js'

if (isFit()) {
  // Compiled code, and TypeScript with its types stripped, is kept between starts.
  if (module.enableCompileCache) module.enableCompileCache()
  // A process that was handed over to must not outlive the one that people see, nor live on for being told of its end.
  if (process.send) {
    process.once('disconnect', () => process.exit(1))
    process.channel?.unref()
  }
  delete process.env['FETCHWAY_HANDED_OVER']
  const here = new URL('./cli/main.ts', import.meta.url)
  const packaged = new URL('../dist/main.js', import.meta.url)
  const { main } = await import((existsSync(here) ? here : packaged).href)
  await main(process.argv.slice(2))
  // Written now, for a process that is killed later writes nothing.
  if (module.flushCompileCache) setTimeout(() => module.flushCompileCache(), 2000).unref()
} else {
  handOver(import.meta.url)
}
