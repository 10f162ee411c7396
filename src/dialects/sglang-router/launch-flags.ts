// The flags of the SGLang router's co-launch: the router's own with `--router-` before them, and the workers', which pass through.
import type { DialectFlag } from '../flag.ts'
import { flags } from './flags.ts'

/** Both programs': not prefixed. */
const SHARED: ReadonlySet<string> = new Set(['--host', '--port', '--worker-urls'])

const own: readonly DialectFlag[] = [
  { names: ['--dp-size', '--data-parallel-size'], kind: 'integer', initial: 1, about: 'workers to start' },
  {
    names: ['--tp-size', '--tensor-parallel-size'],
    kind: 'integer',
    initial: 1,
    about: 'GPUs of each worker',
  },
  {
    names: ['--router-dp-worker-base-port'],
    kind: 'integer',
    initial: 31000,
    about: 'first port of the workers; the next free ones follow',
  },
]

/** All that are read here; what is not among them is for the workers. */
export const launchFlags: readonly DialectFlag[] = [
  ...own,
  ...flags.map((flag) => {
    const [name] = flag.names
    return SHARED.has(name)
      ? flag
      : { ...flag, names: [`--router-${name.slice(2)}`] as const, dest: destOf(name) }
  }),
]

function destOf(name: string): string {
  return name.slice(2).replaceAll('-', '_')
}

/** A command line in two: what is read here, and what the workers get as it is. */
export function splitLaunch(argv: readonly string[]): {
  readonly router: string[]
  readonly workers: string[]
} {
  const router: string[] = []
  const workers: string[] = []
  let target = workers
  for (const word of argv.filter((one) => one.trim() !== '')) {
    if (word.startsWith('--')) target = isRouters(word.split('=')[0] as string) ? router : workers
    target.push(word)
  }
  return { router, workers }
}

const NAMES: ReadonlySet<string> = new Set(launchFlags.flatMap(({ names }) => names))

/** Abbreviations are understood of the router's own alone: which of the workers' they could be, nobody knows here. */
const isRouters = (name: string): boolean => NAMES.has(name) || name.startsWith('--router-')
