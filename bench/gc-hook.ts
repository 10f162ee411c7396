// Preloaded into a router under test (`node --expose-gc --import`): on SIGUSR2 it collects garbage and writes what is left.
import { writeFileSync } from 'node:fs'

const file = process.env['BENCH_MEMORY_FILE']
const collect = (globalThis as { gc?: () => void }).gc
let warnings = 0
const uncaught: string[] = []

process.on('warning', () => warnings++)
// A monitor changes nothing: an unhandled rejection still ends the process, or reaches the handler that it has.
process.on('uncaughtExceptionMonitor', (error, origin) => {
  uncaught.push(`${origin}: ${error.message}`)
  report()
})
process.on('SIGUSR2', () => {
  // Twice, with a turn between: finalizers and weak references fall in the second.
  collect?.()
  setTimeout(() => {
    collect?.()
    report()
  }, 50)
})

function report(): void {
  if (file === undefined) return
  writeFileSync(file, JSON.stringify({ ...process.memoryUsage(), warnings, uncaught }))
}
